"""Reads small files that others have put where they are.

A name can lead to a device that never ends, to a FIFO that nobody writes to, or to
gigabytes. Only regular files are read, and only up to a limit.
"""

from __future__ import annotations

import enum
import os
import stat
from pathlib import Path


class Links(enum.Enum):
    """What a symbolic link in the place of a file is."""

    FOLLOWED = 0
    REFUSED = os.O_NOFOLLOW


class Owner(enum.Enum):
    """To whom a file may belong."""

    ANYBODY = enum.auto()
    THIS_USER = enum.auto()
    """And nobody else may read or write it."""


class NotReadable(Exception):
    """The file cannot be read, or is not one that is read. Says why."""


def read(
    file: Path, at_most: int, *, links: Links = Links.REFUSED, owner: Owner = Owner.ANYBODY
) -> bytes:
    """The content of a regular file of at most so many bytes. Raises `NotReadable`."""
    flags = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC | links.value
    try:
        descriptor = os.open(file, flags)
    except (OSError, ValueError) as error:
        raise NotReadable(getattr(error, "strerror", None) or str(error)) from None
    try:
        _check(os.fstat(descriptor), owner)
        with open(descriptor, "rb", closefd=False) as opened:
            content = opened.read(at_most + 1)
    except OSError as error:
        raise NotReadable(error.strerror or str(error)) from None
    finally:
        os.close(descriptor)
    if len(content) > at_most:
        raise NotReadable(f"it has more than {at_most} bytes")
    return content


def _check(status: os.stat_result, owner: Owner) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise NotReadable("it is not a regular file")
    if owner is Owner.THIS_USER:
        if status.st_uid != os.getuid():
            raise NotReadable("it belongs to another user")
        if status.st_mode & 0o077:
            raise NotReadable("other users can open it: chmod 600")
