"""The resolver `uv`, and `pip-audit` for advisories; both from the package index."""

from __future__ import annotations

import os
import sys
import tempfile
from importlib import metadata
from pathlib import Path
from typing import Final, Sequence

from lab import cache
from lab.commands import Outcome, check, run
from tests.requirements import lock
from tests.requirements.lock import Pin

_UV: Final = "uv==0.13.9"
_AUDIT: Final = "pip-audit==2.10.1"
_PYTHON: Final = "3.9.1"
"""The oldest that is served: cryptography left 3.9.0 with a version that has a vulnerability."""
_INTEL_MAC: Final = "sys_platform == 'darwin' and platform_machine == 'x86_64'"
_NOT_INTEL_MAC: Final = "sys_platform != 'darwin' or platform_machine != 'x86_64'"
_PARTED: Final = (
    # cryptography has no files for Macs with Intel processors from version 49 on.
    f"cryptography<49 ; {_INTEL_MAC}",
    f"cryptography>=49 ; {_NOT_INTEL_MAC}",
)
"""What is asked for beside what `pyproject.toml` asks for."""

_ACCEPTED: Final = (
    # cryptography before 50 tells from outside how the decryption of a PKCS#7 message failed.
    # Neither the copier nor paramiko decrypts such messages.
    "CVE-2026-69247",
)
"""Advisories that name a version in the list, and why that is no harm."""

_BOUND: Final = 600.0
"""Seconds for what asks the package index."""


def resolve() -> list[Pin]:
    """The newest versions of what the copier needs, on every Python that it supports."""
    uv = _install(_UV) / "bin" / "uv"
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "pyproject.toml").write_text(_project())
        check([uv, "lock", "--quiet", "--project", folder], timeout=_BOUND)
        export = ["--format=requirements.txt", "--no-hashes", "--no-header", "--no-annotate"]
        options = ["--quiet", "--frozen", "--no-emit-project", "--project", folder]
        exported = check([uv, "export", *export, *options], timeout=_BOUND)
        files = lock.files_of_uv_lock((Path(folder) / "uv.lock").read_text())
    return lock.pins(exported, files)


def audit(pins: Sequence[Pin]) -> Outcome:
    """Asks for advisories about these versions; fails also if one of them is not known there."""
    program = _install(_AUDIT)
    with tempfile.TemporaryDirectory() as folder:
        words = [sys.executable, "-m", "pip_audit", "--strict", "--disable-pip", "--no-deps"]
        words += [f"--ignore-vuln={advisory}" for advisory in _ACCEPTED]
        for number, group in enumerate(lock.by_package(pins)):
            file = Path(folder) / f"{number}.txt"
            file.write_text("".join(f"{pin.name}=={pin.version}\n" for pin in group))
            words += ["--requirement", str(file)]
        env = {**os.environ, "PYTHONPATH": str(program)}
        return run(words, timeout=_BOUND, env=env)


def wanted() -> list[str]:
    """What the copier needs, as `pyproject.toml` says it."""
    needed = metadata.requires("nix-remote") or []
    return [each for each in needed if "extra ==" not in each]


def _project() -> str:
    return (
        "[project]\n"
        'name = "copier"\n'
        'version = "0"\n'
        f'requires-python = ">={_PYTHON}"\n'
        f"dependencies = {[*wanted(), *_PARTED]}\n"
    )


def _install(package: str) -> Path:
    def build(target: Path) -> None:
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--target", str(target)]
        check([*pip, package], timeout=_BOUND)

    return cache.build_once(package.replace("==", "-"), build)
