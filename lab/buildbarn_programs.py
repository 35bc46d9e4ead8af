"""Buildbarn's four programs, built from its Go modules with the patches of its own build.

This repository contains none of it: Go downloads the modules by name and version, once. A checkout
of `bb-remote-execution` replaces the version that is chosen here; the modules that it requires are
still downloaded.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Optional, Sequence

from lab import cache, go_tools, prerequisites
from lab.commands import LabError, check
from lab.go_tools import Workshop

_REMOTE_EXECUTION: Final = "github.com/buildbarn/bb-remote-execution"
_VERSION: Final = "v0.0.0-20260319042723-cd89f0554d18"
"""The last but one that supports Bazel 7; Go's module proxy does not have the last."""
_CHECKSUM: Final = "h1:xDjczRdWxG2EIhqZbIR8gYLTKKLZezTFxKKe0fkihCo="
"""Go's checksum database need not know this version. What it wants is in its own go.sum."""
_STORAGE: Final = "github.com/buildbarn/bb-storage"
"""In the version that bb-remote-execution requires."""
_PACKAGES: Final = (
    "./cmd/bb_runner",
    "./cmd/bb_scheduler",
    "./cmd/bb_worker",
    f"{_STORAGE}/cmd/bb_storage",
)


@dataclass(frozen=True)
class _Patched:
    """A module of others, which Buildbarn changes."""

    name: str
    version: str
    """For the version of Buildbarn that is chosen above."""
    owner: str
    """Buildbarn's module that has the patches."""
    patches: str
    """Their folder there."""


_PATCHED: Final = (
    _Patched(
        "github.com/hanwen/go-fuse/v2",
        "v2.5.1",
        _REMOTE_EXECUTION,
        "patches/com_github_hanwen_go_fuse_v2",
    ),
    _Patched(
        "google.golang.org/genproto/googleapis/bytestream",
        "v0.0.0-20260526163538-3dc84a4a5aaa",
        _STORAGE,
        "patches/org_golang_google_genproto_googleapis_bytestream",
    ),
)


@dataclass(frozen=True)
class Release:
    """A Buildbarn by its commit: it has no version numbers."""

    date: str
    """Of the commit: `2026-03-19`."""
    commit: str
    """The beginning of its hash."""


def release(checkout: Optional[Path] = None) -> Release:
    """What `programs` builds."""
    if checkout is None:
        _, time, commit = _VERSION.split("-")
        return Release(f"{time[:4]}-{time[4:6]}-{time[6:8]}", commit[:7])
    show = ["git", "-C", str(checkout), "show", "--no-patch", "--format=%cs %h", "--abbrev=7"]
    return Release(*check([*show, "HEAD"]).split())


def programs(checkout: Optional[Path] = None) -> Path:
    """The folder with the programs, which are built if needed, in about three minutes.

    `checkout` is a Git work tree of bb-remote-execution, whose last commit is built.
    """
    if checkout is None:
        state = cache.digest(_VERSION, _PATCHED, go_tools.GO_VERSION)
        return cache.build_once(f"buildbarn-{state}", _build_chosen)
    commit = check(["git", "-C", str(checkout), "rev-parse", "HEAD"]).strip()
    state = cache.digest(commit, _PATCHED, go_tools.GO_VERSION)
    return cache.build_once(
        f"buildbarn-{state}", lambda target: _build_checkout(target, checkout, commit)
    )


def _build_chosen(target: Path) -> None:
    prerequisites.ensure()
    with go_tools.workshop(target.with_suffix(".scratch")) as go:
        module = go.download(f"{_REMOTE_EXECUTION}@{_VERSION}", unlisted=_REMOTE_EXECUTION)
        if module.checksum != _CHECKSUM:
            raise LabError(f"{_REMOTE_EXECUTION}@{_VERSION} is {module.checksum}: not {_CHECKSUM}")
        own = _copy(module.folder, go.folder / "own")
        modules = [f"{patched.name}@{patched.version}" for patched in _PATCHED]
        _build(go, own, modules, target)


def _build_checkout(target: Path, checkout: Path, commit: str) -> None:
    prerequisites.ensure()
    with go_tools.workshop(target.with_suffix(".scratch")) as go:
        own = go.folder / "own"
        check(["git", "clone", "--quiet", str(checkout), str(own)])
        check(["git", "-C", str(own), "checkout", "--quiet", "--detach", commit])
        # In the versions that it requires.
        _build(go, own, [patched.name for patched in _PATCHED], target)


def _build(go: Workshop, own: Path, modules: Sequence[str], target: Path) -> None:
    owners = {_REMOTE_EXECUTION: own, _STORAGE: go.download(_STORAGE, cwd=own).folder}
    for number, (patched, module) in enumerate(zip(_PATCHED, modules)):
        patches = owners[patched.owner] / patched.patches
        # A later Buildbarn may not need it.
        if patches.is_dir():
            folder = _patch(go, module, own, patches, go.folder / f"patched{number}")
            go.run("mod", "edit", "-replace", f"{patched.name}={folder}", cwd=own)
    flags = ["-trimpath", "-ldflags=-s -w"]
    go.run("build", *flags, "-o", f"{target}/", *_PACKAGES, cwd=own)


def _patch(go: Workshop, module: str, own: Path, patches: Path, folder: Path) -> Path:
    _copy(go.download(module, cwd=own).folder, folder)
    for patch in sorted(patches.glob("*.diff")):
        check(["patch", "--silent", "-p0", f"--directory={folder}", f"--input={patch}"])
    return folder


def _copy(module: Path, folder: Path) -> Path:
    shutil.copytree(module, folder)
    check(["chmod", "-R", "u+w", str(folder)])
    return folder
