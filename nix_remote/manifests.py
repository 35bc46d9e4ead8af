"""Manifests: the paths that a fetch copied, and the host, for `nix-remote ensure`. Pure.

    OUTPUT BASE/external/REPOSITORY/bazel-support/nix-remote/manifest*.json

Any archive that Bazel extracts can contain a file of that name. So a manifest begins with
a message authentication code (HMAC-SHA-256) over the rest of the file, made with a key that
only this user can read (`nix_remote.private_key`). The code is verified before anything else is
parsed.

Belongs here: the format. Not: finding manifests (`nix_remote.output_base`).
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from dataclasses import dataclass
from typing import Final, Iterable, Optional, Sequence

from nix_remote.store.paths import StorePath, parse_store_path

VERSION: Final = 2
"""Incremented when a field is removed or changes its meaning."""

LARGEST: Final = 64 * 1024 * 1024
"""Bytes: enough for a closure of several hundred thousand paths."""

_DOMAIN: Final = b"nix-remote manifest\n"
_FIRST_LINE: Final = re.compile(rb'\{"mac": "([0-9a-f]{64})",\n')
_NO_CODE: Final = "0" * 64


class NotAManifest(Exception):
    """The file was not written by a fetch of this user, or has another version."""


@dataclass(frozen=True)
class Manifest:
    """The copy of one fetch to one host."""

    host: str
    workspace: str
    """The folder that the copy was made for."""
    package: Optional[str]
    time: int
    """Seconds since 1970."""
    roots: Sequence[StorePath]
    """The top paths. The locations of their durable roots are computed, not stored."""
    paths: Sequence[StorePath]
    """The closure, in dependency order."""


def as_text(manifest: Manifest, key: Optional[bytes]) -> str:
    """The file's content. Without a key no `parse` accepts it."""
    fields = {
        "version": VERSION,
        "host": manifest.host,
        "workspace": manifest.workspace,
        "package": manifest.package,
        "time": manifest.time,
        "roots": list(manifest.roots),
        "paths": list(manifest.paths),
    }
    rest = json.dumps(fields, indent=1).removeprefix("{\n") + "\n"
    code = _code(key, rest.encode()) if key is not None else _NO_CODE
    return f'{{"mac": "{code}",\n{rest}'


def parse(content: bytes, keys: Iterable[bytes]) -> Manifest:
    """The manifest that a file contains. Raises `NotAManifest` with the reason."""
    first = _FIRST_LINE.match(content)
    rest = content[first.end() :] if first else b""
    codes = [_code(key, rest).encode() for key in keys]
    if first is None or not any(hmac.compare_digest(code, first[1]) for code in codes):
        raise NotAManifest("no fetch of this user wrote it")
    try:
        fields = json.loads(b"{" + rest)
        if fields["version"] != VERSION:
            raise NotAManifest(f"it has version {fields['version']!r} instead of {VERSION}")
        return Manifest(
            host=fields["host"],
            workspace=fields["workspace"],
            package=fields["package"],
            time=fields["time"],
            roots=[parse_store_path(path) for path in fields["roots"]],
            paths=[parse_store_path(path) for path in fields["paths"]],
        )
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise NotAManifest(f"{type(error).__name__}: {error}") from None


def _code(key: bytes, rest: bytes) -> str:
    return hmac.new(key, _DOMAIN + rest, hashlib.sha256).hexdigest()
