"""Framed streams: how the worker protocol (1.23 and later) carries a NAR.

A stream is any number of frames (a length that is not zero, then that many
bytes, without padding) and a length of zero. Frame boundaries have no meaning.
"""

from __future__ import annotations

from typing import Final

from nix_remote.wire.codec import Decoder, WireError, encode_number, read_number

END: Final = encode_number(0)
"""Ends a stream. If it is sent early, the server rejects the NAR, and the session goes on."""

MAX_FRAME: Final = 2**32 - 1
"""The longest frame a server accepts, in bytes."""


def frame_header(size: int) -> bytes:
    """The header of a frame of `size` bytes (1 to `MAX_FRAME`)."""
    if not 0 < size <= MAX_FRAME:
        raise ValueError(f"a frame cannot have {size} bytes")
    return encode_number(size)


def read_framed(limit: int) -> Decoder[bytes]:
    """The content of a whole framed stream of at most `limit` bytes."""
    content = bytearray()
    while True:
        size = yield from read_number()
        if size == 0:
            return bytes(content)
        if size > limit - len(content):
            raise WireError(f"framed stream of more than {limit} bytes")
        content += yield size
