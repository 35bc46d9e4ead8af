"""Files that people name on the command line: reading and writing, with clear errors."""

from __future__ import annotations

from pathlib import Path
from typing import Sequence

from nix_remote.errors import SetupInputUnusable
from nix_remote.setup.bundle import File


def read(file: Path) -> str:
    """What is in it. Raises `SetupInputUnusable`."""
    try:
        return file.read_text()
    except (OSError, UnicodeDecodeError):
        raise SetupInputUnusable(str(file), "the name of a file that can be read") from None


def write_all(folder: Path, files: Sequence[File]) -> list[str]:
    """Makes files below a folder, or replaces them; returns their names.

    What else is there stays. Raises `SetupInputUnusable`.
    """
    written = []
    for file in files:
        target = folder / file.path
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(file.text)
            target.chmod(file.mode)
        except OSError as error:
            expected = f"a place for files ({error.strerror})"
            raise SetupInputUnusable(str(error.filename), expected) from None
        written.append(str(target))
    return written
