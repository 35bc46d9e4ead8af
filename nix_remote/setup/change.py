"""Shell commands that change a machine, and undo what they have changed if one of them fails.

The commands themselves are `change.sh`; a script has `machinery()` once, before what uses it.
"""

from __future__ import annotations

from importlib import resources
from typing import Sequence

from nix_remote.setup.bundle import File, here_document


def machinery() -> str:
    """The shell functions: `check_writable`, `begin`, `put`, `add_line`, `folder` and others."""
    return resources.files("nix_remote.setup").joinpath("change.sh").read_text()


def put(files: Sequence[File]) -> str:
    """Shell commands that make root's files; those that are as they should be are left alone."""
    return "\n".join(
        f"step={file.path}\nput {file.path} {file.mode:o} {here_document(file)}" for file in files
    )
