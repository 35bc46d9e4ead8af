"""What fetches leave behind in their repositories, for `nix-remote ensure`.

    OUTPUT BASE/external/REPOSITORY/bazel-support/nix-remote/manifest*.json

Belongs here: the files and their format, and where a workspace has them. Not:
what is done about them.
"""

from __future__ import annotations

import hashlib
import json
import os
import pwd
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Mapping, Optional, Sequence

from nix_remote.wire.types import StorePath, parse_store_path

VERSION: Final = 1
"""Raised when a field changes its meaning or goes."""

_PATTERN: Final = "external/*/bazel-support/nix-remote/manifest*.json"

_OUT_LINKS: Final = "external/*/bazel-support/nix-out-link*"


@dataclass(frozen=True)
class Manifest:
    """What one fetch has copied, and where to."""

    host: str
    workspace: str
    package: Optional[str]
    time: int
    """Seconds since 1970."""
    roots: Mapping[StorePath, str]
    """Top path -> its durable root, relative to the account's home folder."""
    paths: Sequence[StorePath]
    """The closure, in dependency order."""


def as_text(manifest: Manifest) -> str:
    """A manifest as its file has it."""
    fields = {
        "version": VERSION,
        "host": manifest.host,
        "workspace": manifest.workspace,
        "package": manifest.package,
        "time": manifest.time,
        "roots": dict(manifest.roots),
        "paths": list(manifest.paths),
    }
    return json.dumps(fields, indent=1) + "\n"


def parse(text: str) -> Manifest:
    """A manifest from its file. Raises `ValueError` if it is none."""
    try:
        fields = json.loads(text)
        if fields["version"] != VERSION:
            raise ValueError(f"version {fields['version']!r}")
        return Manifest(
            host=str(fields["host"]),
            workspace=str(fields["workspace"]),
            package=fields["package"],
            time=fields["time"],
            roots={parse_store_path(path): str(root) for path, root in fields["roots"].items()},
            paths=[parse_store_path(path) for path in fields["paths"]],
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{type(error).__name__}: {error}") from None


def find(output_base: Path) -> list[Manifest]:
    """All manifests below an output base, by repository. Files that are none are passed by."""
    found = []
    for file in sorted(output_base.glob(_PATTERN)):
        try:
            found.append(parse(file.read_text()))
        except (OSError, ValueError):
            # Being written, or of another version: the next fetch writes it anew.
            continue
    return found


def not_copied(output_base: Path) -> list[str]:
    """The repositories below an output base that realise packages, and were not copied.

    They were fetched without a host, or by rules_nixpkgs itself: another module's, for
    instance. By their canonical names.
    """
    realised = {link.parent.parent for link in output_base.glob(_OUT_LINKS)}
    copied = {file.parents[2] for file in output_base.glob(_PATTERN)}
    return sorted(folder.name for folder in realised - copied)


def output_base(workspace: Path) -> Optional[Path]:
    """Where Bazel keeps a workspace's repositories, without asking it; None if nowhere usual.

    By the links that a build leaves in the workspace, else where Bazel puts it
    unless it is told otherwise.
    """
    link = workspace / "bazel-out"
    if link.is_symlink():
        # OUTPUT BASE/execroot/NAME/bazel-out
        parents = Path(os.readlink(link)).parents
        if len(parents) > 2 and parents[1].name == "execroot":
            return parents[2]
    user = pwd.getpwuid(os.getuid())
    name = hashlib.md5(os.fsencode(workspace.resolve()), usedforsecurity=False).hexdigest()
    usual = Path(user.pw_dir) / ".cache/bazel" / f"_bazel_{user.pw_name}" / name
    return usual if usual.is_dir() else None
