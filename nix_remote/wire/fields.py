"""Reads and writes the values of `nix_remote.wire.types` where they appear in messages."""

from __future__ import annotations

from typing import Callable, Optional, TypeVar

from nix_remote.wire.codec import (
    Decoder,
    WireError,
    encode_bool,
    encode_number,
    encode_text,
    encode_texts,
    read_text,
    read_texts,
)
from nix_remote.wire.types import NarHash, PathInfo, StorePath, parse_store_path

T = TypeVar("T")


def _parsed(parse: Callable[[str], T], text: str) -> T:
    try:
        return parse(text)
    except ValueError as error:
        raise WireError(str(error)) from None


def read_store_paths() -> Decoder[list[StorePath]]:
    """A list or set of store paths, in the order sent."""
    return [_parsed(parse_store_path, text) for text in (yield from read_texts())]


def read_optional_store_path() -> Decoder[Optional[StorePath]]:
    """A store path, or the empty string for none."""
    text = yield from read_text()
    return _parsed(parse_store_path, text) if text else None


def read_nar_hash(parse: Callable[[str], NarHash]) -> Decoder[NarHash]:
    """A NAR hash in the text form that `parse` understands; protocols differ."""
    return _parsed(parse, (yield from read_text()))


def encode_path_info(info: PathInfo) -> bytes:
    """A path info as both protocols take it when a path is to be added."""
    return b"".join(
        (
            encode_text(info.path),
            encode_text(info.deriver or ""),
            encode_text(info.nar_hash.hex()),
            encode_texts(info.references),
            encode_number(0),  # registration time: the server's clock
            encode_number(info.nar_size),
            encode_bool(False),  # ultimate: it was not built there
            encode_texts(info.signatures),
            encode_text(info.content_address),
        )
    )
