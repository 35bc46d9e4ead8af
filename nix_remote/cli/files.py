"""Reads and writes the files that a command line names, with clear errors."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Optional, Sequence

from nix_remote.errors import SetupInputUnusable
from nix_remote.setup.bundle import File


def read(file: Path) -> str:
    """The text of the file. Raises `SetupInputUnusable`."""
    try:
        return file.read_text()
    except (OSError, UnicodeDecodeError):
        raise SetupInputUnusable(str(file), "the name of a file that can be read") from None


def replace(file: Path, text: str) -> None:
    """Replaces the content of a regular file atomically, or makes the file.

    Keeps a copy of the old file beside it, symbolic links, and the owner and permissions of the
    file. Raises `SetupInputUnusable`, and has changed nothing then.
    """
    real, status = _to_write(file)
    try:
        real.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if status is not None:
            _write(real.with_name(f"{real.name}.before-nix-remote"), read(real), status)
        new = real.with_name(f"{real.name}.new")
        _write(new, text, status)
        new.replace(real)
    except OSError as error:
        raise _unwritable(error.filename or file, error) from None


def append(file: Path, line: str) -> None:
    """Adds a line to a regular file, or makes the file. Raises `SetupInputUnusable`."""
    real, status = _to_write(file)
    before = read(real) if status is not None else ""
    separator = "\n" if before and not before.endswith("\n") else ""
    try:
        real.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(real, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        with open(descriptor, "w") as opened:
            opened.write(f"{separator}{line}\n")
    except OSError as error:
        raise _unwritable(file, error) from None


def check_regular(file: Path) -> None:
    """Raises `SetupInputUnusable` if the name exists and is not a regular file."""
    _status(_real(file))


def _to_write(file: Path) -> tuple[Path, Optional[os.stat_result]]:
    """The resolved name, and its status; None if it does not exist."""
    real = _real(file)
    status = _status(real)
    if status is not None and not (status.st_mode & 0o222 and os.access(real, os.W_OK)):
        raise SetupInputUnusable(str(file), f"a writable file; {real} is read-only")
    return real, status


def _real(file: Path) -> Path:
    try:
        return file.resolve()
    except (OSError, RuntimeError):  # a loop of symbolic links
        raise SetupInputUnusable(str(file), "the name of a file") from None


def _status(real: Path) -> Optional[os.stat_result]:
    try:
        status = real.lstat()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise _unwritable(real, error) from None
    if not stat.S_ISREG(status.st_mode):
        raise SetupInputUnusable(str(real), "a regular file, not a folder or a device")
    return status


def _write(file: Path, text: str, like: Optional[os.stat_result]) -> None:
    """Makes a new file, with the owner and permissions of `like`."""
    file.unlink(missing_ok=True)
    with open(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as opened:
        if like is not None:
            made = os.fstat(opened.fileno())
            if (made.st_uid, made.st_gid) != (like.st_uid, like.st_gid):
                os.fchown(opened.fileno(), like.st_uid, like.st_gid)
            os.fchmod(opened.fileno(), stat.S_IMODE(like.st_mode))
        opened.write(text)


def _unwritable(name: object, error: OSError) -> SetupInputUnusable:
    return SetupInputUnusable(str(name), f"a writable file ({error.strerror})")


def write_all(folder: Path, files: Sequence[File]) -> list[str]:
    """Makes or replaces files below a folder; returns their names. Keeps all other files.

    Raises `SetupInputUnusable`.
    """
    written = []
    for file in files:
        target = folder / file.path
        check_regular(target)
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(file.text)
            target.chmod(file.mode)
        except OSError as error:
            expected = f"a writable folder ({error.strerror})"
            raise SetupInputUnusable(str(error.filename), expected) from None
        written.append(str(target))
    return written
