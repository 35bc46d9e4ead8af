"""Shell commands that change a machine, and undo their changes if one of them fails.

The shell functions are in `change.sh`; a script includes `machinery()` once, before their use.
"""

from __future__ import annotations

from importlib import resources
from typing import Sequence

from nix_remote.setup.bundle import File, here_document


def machinery() -> str:
    """The shell functions: `check_writable`, `begin`, `put`, `add_line`, `folder` and others."""
    return resources.files("nix_remote.setup").joinpath("change.sh").read_text()


def put(files: Sequence[File]) -> str:
    """Shell commands that write files of root; files that are up to date are not touched."""
    return "\n".join(
        f"step={file.path}\nput {file.path} {file.mode:o} {here_document(file)}" for file in files
    )
