"""Finds the output base of a Bazel workspace, and the manifests that fetches wrote in it.

The content of a workspace is not trusted, including the link `bazel-out`. The link is followed
only to an output base that belongs to this user and to this workspace.
"""

from __future__ import annotations

import hashlib
import os
import pwd
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Optional, Sequence

from nix_remote import files, manifests
from nix_remote.manifests import Manifest, NotAManifest

_MANIFESTS: Final = "external/*/bazel-support/nix-remote/manifest*.json"
_OUT_LINKS: Final = "external/*/bazel-support/nix-out-link*"
_OWNER_FILE: Final = "DO_NOT_BUILD_HERE"
"""A file in which Bazel stores the workspace's folder."""
_LONGEST_NAME: Final = 4096


@dataclass(frozen=True)
class Found:
    """The manifests below an output base."""

    manifests: Sequence[Manifest]
    unusable: Sequence[str]
    """Files with the name of a manifest that are not manifests: the name below the output base,
    and the reason."""


def find(base: Path, keys: Sequence[bytes]) -> Found:
    """All manifests below an output base, sorted by repository; `keys` are this user's keys."""
    found, unusable = [], []
    for file in sorted(base.glob(_MANIFESTS)):
        try:
            found.append(manifests.parse(files.read(file, manifests.LARGEST), keys))
        except (files.NotReadable, NotAManifest) as error:
            unusable.append(f"{file.relative_to(base)}: {error}")
    return Found(found, unusable)


def not_copied(base: Path) -> list[str]:
    """The canonical names of repositories that realise packages and were not copied.

    They were fetched without a host, or by rules_nixpkgs itself, for instance for another module.
    """
    realised = {link.parent.parent for link in base.glob(_OUT_LINKS)}
    copied = {file.parents[2] for file in base.glob(_MANIFESTS)}
    return sorted(folder.name for folder in realised - copied)


def of(workspace: Path) -> Optional[Path]:
    """The output base of a workspace, without asking Bazel; None if it is not found.

    It is found through the link that a build makes in the workspace, or else at Bazel's default
    location.
    """
    linked = _linked(workspace)
    if linked is not None and _belongs_to(linked, workspace):
        return linked
    usual = _usual(workspace)
    return usual if usual is not None and _is_own_folder(usual) else None


def _linked(workspace: Path) -> Optional[Path]:
    try:
        parents = Path(os.readlink(workspace / "bazel-out")).parents
    except OSError:
        return None
    # OUTPUT BASE/execroot/NAME/bazel-out
    if len(parents) > 2 and parents[1].name == "execroot" and parents[2].is_absolute():
        return parents[2]
    return None


def _belongs_to(base: Path, workspace: Path) -> bool:
    """Whether Bazel made that folder for this workspace; the workspace itself may contain one."""
    real = workspace.resolve()
    if not _is_own_folder(base) or base.resolve().is_relative_to(real):
        return False
    try:
        noted = files.read(base / _OWNER_FILE, _LONGEST_NAME)
    except files.NotReadable:
        return False
    return noted.rstrip(b"\n") == os.fsencode(real)


def _is_own_folder(folder: Path) -> bool:
    try:
        return folder.is_dir() and folder.stat().st_uid == os.getuid()
    except OSError:
        return False


def _usual(workspace: Path) -> Optional[Path]:
    try:
        user = pwd.getpwuid(os.getuid())
    except KeyError:
        return None
    name = hashlib.md5(os.fsencode(workspace.resolve()), usedforsecurity=False).hexdigest()
    return Path(user.pw_dir) / ".cache/bazel" / f"_bazel_{user.pw_name}" / name
