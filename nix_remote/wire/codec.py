"""Encodes and decodes the primitives that all Nix protocols share.

All values consist of unsigned 64-bit little-endian numbers; a string is its
length, its bytes, and zeros up to a multiple of eight. (Checked against Nix
2.8, 2.26 and 2.34, worker protocol 1.34-1.38 and serve protocol 2.7.)

A decoder is a generator: it yields the number of bytes that it needs next and
is sent exactly these. So it needs no socket, never reads ahead, and can be fed
one byte at a time. `Feed` runs a decoder. Every read has a limit, so a peer
cannot make us allocate unbounded memory.

Does not belong here: the meaning of messages (`nix_remote.protocol`).
"""

from __future__ import annotations

from typing import Final, Generator, Generic, Iterable, Optional, TypeVar

from nix_remote.text import PeerText

T = TypeVar("T")

Decoder = Generator[int, bytes, T]
"""Yields the number of bytes wanted, is sent that many, returns the decoded value."""

MAX_TEXT: Final = 64 * 1024
"""Longest string accepted by default, in bytes."""

MAX_ITEMS: Final = 1_000_000
"""Longest list accepted by default. `at_most` bounds its total size."""

_WORD: Final = 8


class WireError(Exception):
    """The peer violated the protocol. The stream cannot be used further."""


def encode_number(value: int) -> bytes:
    """A number below 2**64."""
    return value.to_bytes(_WORD, "little")


def encode_bool(value: object) -> bytes:
    """The truth of `value`: 0 or 1."""
    return encode_number(1 if value else 0)


def encode_bytes(value: bytes) -> bytes:
    """A string: length, bytes, padding."""
    return encode_number(len(value)) + value + bytes(-len(value) % _WORD)


def encode_text(value: str) -> bytes:
    """A string of text, as UTF-8."""
    return encode_bytes(value.encode())


def encode_texts(values: Iterable[str]) -> bytes:
    """A list or set of strings, in the order given."""
    encoded = [encode_text(value) for value in values]
    return encode_number(len(encoded)) + b"".join(encoded)


def read_number() -> Decoder[int]:
    """A number of any size up to 2**64 - 1."""
    return int.from_bytes((yield _WORD), "little")


def read_bool() -> Decoder[bool]:
    """A boolean. Numbers other than 0 and 1 are an error."""
    value = yield from read_number()
    if value > 1:
        raise WireError(f"a boolean must be 0 or 1, not {value}")
    return value == 1


def read_bytes(limit: int = MAX_TEXT) -> Decoder[bytes]:
    """A string of at most `limit` bytes. Its padding must be zeros."""
    length = yield from read_number()
    if length > limit:
        raise WireError(f"string of {length} bytes; at most {limit} are allowed")
    value = yield length
    padding = yield -length % _WORD
    if padding.strip(b"\0"):
        raise WireError("string padding is not zero")
    return value


def read_text(limit: int = MAX_TEXT) -> Decoder[str]:
    """A string as text. Bytes that are not UTF-8 become surrogate escapes."""
    return (yield from read_bytes(limit)).decode(errors="surrogateescape")


def read_peer_text(limit: int = MAX_TEXT) -> Decoder[PeerText]:
    """A string that may be shown to the user."""
    return PeerText((yield from read_bytes(limit)))


def read_texts(max_items: int = MAX_ITEMS, limit: int = MAX_TEXT) -> Decoder[list[str]]:
    """A list of at most `max_items` strings of at most `limit` bytes each."""
    count = yield from read_number()
    if count > max_items:
        raise WireError(f"list of {count} items; at most {max_items} are allowed")
    values = []
    for _ in range(count):
        values.append((yield from read_text(limit)))
    return values


def skip_texts(limit: int = MAX_TEXT) -> Decoder[None]:
    """A list of any number of strings, which are discarded."""
    for _ in range((yield from read_number())):
        yield from read_bytes(limit)


def at_most(limit: int, decoder: Decoder[T]) -> Decoder[tuple[T, int]]:
    """The value of a decoder, and how many bytes it has read: at most `limit`."""
    taken = 0
    try:
        wanted = next(decoder)
        while True:
            taken += wanted
            if taken > limit:
                raise WireError(f"reply of more than {limit} bytes")
            wanted = decoder.send((yield wanted))
    except StopIteration as stop:
        return stop.value, taken


class Feed(Generic[T]):
    """Runs a decoder on bytes that arrive in pieces of any size."""

    def __init__(self, decoder: Decoder[T]) -> None:
        self._decoder = decoder
        self._pending = bytearray()
        self._result: Optional[T] = None
        self._done = False
        self._wanted = self._step(None)

    def push(self, data: bytes) -> None:
        """Decodes the bytes that arrived. Raises `WireError` as soon as they are invalid.

        Bytes after the end of the message are an error: a feed decodes one message.
        """
        self._pending += data
        position = 0
        while not self._done and len(self._pending) - position >= self._wanted:
            chunk = bytes(self._pending[position : position + self._wanted])
            position += self._wanted
            self._wanted = self._step(chunk)
        del self._pending[:position]
        if self._done and self._pending:
            raise WireError(f"{len(self._pending)} bytes after the end of a message")

    def _step(self, chunk: Optional[bytes]) -> int:
        try:
            return next(self._decoder) if chunk is None else self._decoder.send(chunk)
        except StopIteration as stop:
            self._result = stop.value
            self._done = True
            return 0

    @property
    def done(self) -> bool:
        """Whether the decoder has returned."""
        return self._done

    @property
    def result(self) -> T:
        """The value that the decoder returned. Raises `WireError` unless `done`."""
        if not self._done:
            raise WireError("the message is not complete")
        return self._result  # type: ignore[return-value]  # set together with _done

    @property
    def pending(self) -> bytes:
        """Bytes that arrived and were not decoded yet."""
        return bytes(self._pending)


def decode(decoder: Decoder[T], data: bytes) -> T:
    """Decodes one complete message; missing or surplus bytes are a `WireError`."""
    feed = Feed(decoder)
    feed.push(data)
    return feed.result
