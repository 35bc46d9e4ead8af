"""Reads the files that `workspace.py` checks: rc files and build files of a Bazel workspace."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final, Optional

from nix_remote import files
from nix_remote.text import PeerText

_MARKS: Final = ("MODULE.bazel", "WORKSPACE", "WORKSPACE.bazel")
_IMPORT: Final = re.compile(r"^\s*(?:try-)?import\s+(\S+)", re.M)
_DEEPEST_IMPORT: Final = 10
_MOST_FILES: Final = 500
_LARGEST: Final = 256 * 1024
"""Bytes. Larger files, and names that are not files, are skipped: the workspace is not trusted."""


def root(folder: Path) -> Optional[Path]:
    """The workspace that contains a folder; None if there is none."""
    for each in (folder, *folder.parents):
        if any((each / mark).is_file() for mark in _MARKS):
            return each
    return None


def rc_files(workspace: Path) -> dict[str, str]:
    """The workspace's and the user's rc files, and the files that they import."""
    found: dict[str, str] = {}
    _collect(workspace / ".bazelrc", workspace, found, _DEEPEST_IMPORT)
    _collect(Path("~/.bazelrc").expanduser(), workspace, found, _DEEPEST_IMPORT)
    return found


def _collect(file: Path, workspace: Path, found: dict[str, str], depth: int) -> None:
    if str(file) in found or not depth or len(found) == _MOST_FILES:
        return
    text = _read(file)
    if text is None:
        return
    found[str(file)] = text
    for imported in _IMPORT.findall(text):
        target = Path(imported.replace("%workspace%", str(workspace)))
        _collect(target, workspace, found, depth - 1)


def build_files(workspace: Path) -> dict[str, str]:
    """MODULE.bazel, WORKSPACE, and the .bzl files at the top and one level below."""
    names = [workspace / mark for mark in _MARKS]
    names += [*workspace.glob("*.bzl"), *workspace.glob("*/*.bzl")]
    chosen = sorted(set(names))[:_MOST_FILES]
    texts = {str(file.relative_to(workspace)): _read(file) for file in chosen}
    return {name: text for name, text in texts.items() if text is not None}


def _read(file: Path) -> Optional[str]:
    try:
        content = files.read(file, _LARGEST, links=files.Links.FOLLOWED)
    except files.NotReadable:
        return None
    return PeerText(content).plain
