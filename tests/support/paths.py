"""Arbitrary store paths and path infos for tests."""

from __future__ import annotations

import hashlib

from nix_remote.store import base32
from nix_remote.store.paths import NarHash, PathInfo, StorePath, parse_store_path


def path(name: str) -> StorePath:
    """A store path of that name; always the same one."""
    digest = base32.encode(hashlib.sha256(name.encode()).digest()[:20])
    return parse_store_path(f"/nix/store/{digest}-{name}")


def info(name: str, *references: str, nar: bytes = b"") -> PathInfo:
    """A path info; `references` are names of other paths."""
    content = nar or name.encode()
    return PathInfo(
        path(name),
        NarHash(hashlib.sha256(content).digest()),
        len(content),
        tuple(sorted(path(reference) for reference in references)),
    )
