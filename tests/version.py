"""The version of nix_remote: one number, in every file that needs it as text.

    python -m tests.version NUMBER       writes a new version into all of them

`nix_remote.__version__` is the source, and pyproject.toml reads it. The other files cannot:
Bazel evaluates MODULE.bazel alone, the thin client imports nothing of the package, and users
copy from the documentation and the examples.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Final, Iterator

_ROOT: Final = Path(__file__).parents[1]

_DEPENDENCY: Final = re.compile(r'(?<=bazel_dep\(name = "nix_remote", version = ")[^"]+')
_PLACES: Final = {
    "MODULE.bazel": re.compile(r'(?<=    name = "nix_remote",\n    version = ")[^"]+'),
    "nix_remote/__init__.py": re.compile(r'(?<=^__version__ = ")[^"]+', re.M),
    "nix_remote/agent/**/*.py": re.compile(r'(?<=^VERSION: Final = ")[^"]+', re.M),
    "README.md": _DEPENDENCY,
    "bzl/**/*.bzl": _DEPENDENCY,
    "bzl/**/*.sh": _DEPENDENCY,
    "docs/**/*.md": _DEPENDENCY,
    "examples/**/MODULE.bazel": _DEPENDENCY,
}


def _matches() -> Iterator[tuple[Path, re.Pattern[str]]]:
    for glob, pattern in _PLACES.items():
        for file in sorted(_ROOT.glob(glob)):
            if pattern.search(file.read_text()):
                yield file, pattern


def found() -> dict[str, set[str]]:
    """The files that have the version, and the versions that are in each."""
    return {
        file.relative_to(_ROOT).as_posix(): set(pattern.findall(file.read_text()))
        for file, pattern in _matches()
    }


def write(version: str) -> None:
    """Replaces the version in all of these files."""
    for file, pattern in list(_matches()):
        file.write_text(pattern.sub(version, file.read_text()))


if __name__ == "__main__":
    write(*sys.argv[1:])
