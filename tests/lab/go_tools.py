"""Programs written in Go, by module and version; built once, and kept with the root trees."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from tests.lab import cache
from tests.lab.commands import LabError, run


@dataclass(frozen=True)
class GoTool:
    """A program, as `go install` names it."""

    package: str
    version: str

    @property
    def name(self) -> str:
        """What the program is called."""
        parts = self.package.split("/")
        return parts[-2] if parts[-1].lstrip("v").isdigit() else parts[-1]

    def program(self) -> Path:
        """The program; built now if need be, which takes about a minute."""
        folder = f"go-{self.name}-{cache.digest(self.package, self.version)}"
        return cache.build_once(folder, self._build) / self.name

    def _build(self, target: Path) -> None:
        if shutil.which("go") is None:
            env = dict(os.environ, DEBIAN_FRONTEND="noninteractive")
            run(["apt-get", "update", "-q"], timeout=300, env=env)
            install = ["apt-get", "install", "-y", "-q", "--no-install-recommends", "golang-go"]
            run(install, timeout=600, env=env).check()
        scratch = target.with_suffix(".scratch")
        env = dict(
            os.environ,
            GOBIN=str(target),
            GOPATH=str(scratch),
            GOFLAGS="-modcacherw",
            CGO_ENABLED="0",
        )
        try:
            run(["go", "install", f"{self.package}@{self.version}"], timeout=900, env=env).check()
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
        if not (target / self.name).is_file():
            raise LabError(f"go install {self.package}@{self.version} made no {self.name}")


KUSTOMIZE = GoTool("sigs.k8s.io/kustomize/kustomize/v5", "v5.8.1")
JSONNET = GoTool("github.com/google/go-jsonnet/cmd/jsonnet", "v0.22.0")
