"""Store paths, NAR hashes and path infos, with their validation and text forms.

Does not belong here: their encoding in messages (`nix_remote.wire.fields`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, NewType, Optional

from nix_remote.store import base32

STORE_DIRECTORY: Final = "/nix/store"
"""The only store folder supported: packages contain absolute store paths."""

StorePath = NewType("StorePath", str)
"""A full store path: `/nix/store/<32 digits>-<name>`. Made by `parse_store_path`."""

NarHash = NewType("NarHash", bytes)
"""The SHA-256 of a path's NAR: 32 bytes."""

_BASE_NAME: Final = re.compile(rf"[{base32.ALPHABET}]{{32}}-[0-9a-zA-Z+\-._?=]{{1,211}}")
_HASH_DIGITS: Final = 32


def parse_store_path(text: str) -> StorePath:
    """Checks that `text` is exactly a store path; `ValueError` otherwise."""
    prefix = STORE_DIRECTORY + "/"
    if not text.startswith(prefix) or not _BASE_NAME.fullmatch(text[len(prefix) :]):
        raise ValueError(f"{text!r} is not a store path")
    return StorePath(text)


def base_name(path: StorePath) -> str:
    """The last component: digest and name."""
    return path[len(STORE_DIRECTORY) + 1 :]


def package_name(path: StorePath) -> str:
    """The name without the digest: `hello-2.10`."""
    return base_name(path)[_HASH_DIGITS + 1 :]


def nar_hash_from_hex(digits: str) -> NarHash:
    """From 64 hexadecimal digits, the form of the worker protocol and the database."""
    value = bytes.fromhex(digits)
    if len(value) != 32:
        raise ValueError(f"{digits!r} is not a SHA-256")
    return NarHash(value)


def parse_nar_hash(text: str) -> NarHash:
    """From `sha256:` and either 64 hexadecimal or 52 base-32 digits."""
    algorithm, _, digits = text.partition(":")
    if algorithm != "sha256":
        raise ValueError(f"{text!r} is not a SHA-256")
    if len(digits) == 64:
        return nar_hash_from_hex(digits)
    return NarHash(base32.decode(digits, 32))


def format_nar_hash(value: NarHash) -> str:
    """`sha256:` and base 32: the form used in signatures and messages."""
    return f"sha256:{base32.encode(value)}"


@dataclass(frozen=True)
class PathInfo:
    """The registered information about a valid path."""

    path: StorePath
    nar_hash: NarHash
    nar_size: int
    """Bytes of the path's NAR."""
    references: tuple[StorePath, ...] = ()
    """The store paths that the content refers to, sorted; may include the path itself."""
    deriver: Optional[StorePath] = None
    signatures: tuple[str, ...] = ()
    """Each `KEYNAME:BASE64`."""
    content_address: str = ""
    """Empty for most paths; `fixed:…` or `text:…` for content-addressed ones."""
