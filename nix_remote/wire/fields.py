"""Reads the values of `nix_remote.wire.types` where they appear in messages."""

from __future__ import annotations

from typing import Callable, Optional, TypeVar

from nix_remote.wire.codec import Decoder, WireError, read_text, read_texts
from nix_remote.wire.types import NarHash, StorePath, parse_store_path

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
