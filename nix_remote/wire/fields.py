"""Reads and writes the values of `nix_remote.store.paths` where they appear in messages."""

from __future__ import annotations

from typing import Callable, Final, Optional, Sequence, TypeVar

from nix_remote.store.paths import NarHash, PathInfo, StorePath, parse_store_path
from nix_remote.wire.codec import (
    MAX_ITEMS,
    Decoder,
    WireError,
    encode_bool,
    encode_number,
    encode_text,
    encode_texts,
    read_text,
    read_texts,
)

T = TypeVar("T")

LONGEST_STORE_PATH: Final = len("/nix/store/") + 32 + len("-") + 211
"""Bytes."""
PATH_INFO_ALLOWANCE: Final = 4096
"""Bytes of a path info in a reply, unless it has many references."""
_MAX_SIGNATURES: Final = 1000
_MAX_SIGNATURE: Final = 4096


def _parsed(parse: Callable[[str], T], text: str) -> T:
    try:
        return parse(text)
    except ValueError as error:
        raise WireError(str(error)) from None


def encoded_size(path: StorePath) -> int:
    """Bytes of a store path in a message."""
    return 8 + len(path) + -len(path) % 8


def read_store_paths(max_items: int = MAX_ITEMS) -> Decoder[list[StorePath]]:
    """A list or set of at most `max_items` store paths, in the order sent."""
    texts = yield from read_texts(max_items, LONGEST_STORE_PATH)
    return [_parsed(parse_store_path, text) for text in texts]


def read_valid_paths(asked: Sequence[StorePath]) -> Decoder[frozenset[StorePath]]:
    """The valid ones of the paths asked about. Another path in the reply is an error."""
    valid = frozenset((yield from read_store_paths(len(asked))))
    others = valid.difference(asked)
    if others:
        raise WireError(f"{min(others)} in the reply, which was not asked about")
    return valid


def read_signatures() -> Decoder[tuple[str, ...]]:
    """The signatures of a path."""
    return tuple((yield from read_texts(_MAX_SIGNATURES, _MAX_SIGNATURE)))


def read_optional_store_path() -> Decoder[Optional[StorePath]]:
    """A store path, or the empty string for none."""
    text = yield from read_text(LONGEST_STORE_PATH)
    return _parsed(parse_store_path, text) if text else None


def read_nar_hash(parse: Callable[[str], NarHash]) -> Decoder[NarHash]:
    """A NAR hash in the text form that `parse` accepts; the protocols differ."""
    return _parsed(parse, (yield from read_text()))


def encode_path_info(info: PathInfo) -> bytes:
    """A path info in the form of both protocols' requests that add a path."""
    return b"".join(
        (
            encode_text(info.path),
            encode_text(info.deriver or ""),
            encode_text(info.nar_hash.hex()),
            encode_texts(info.references),
            encode_number(0),  # registration time: the server's clock
            encode_number(info.nar_size),
            encode_bool(False),  # ultimate: the server did not build it
            encode_texts(info.signatures),
            encode_text(info.content_address),
        )
    )
