"""Reads small files of untrusted origin.

A name can lead to an endless device, to a FIFO without a writer, or to gigabytes. Only regular
files are read, and only up to a limit.
"""

from __future__ import annotations

import enum
import os
import stat
from pathlib import Path


class Links(enum.Enum):
    """How a symbolic link is treated."""

    FOLLOWED = 0
    REFUSED = os.O_NOFOLLOW


class Owner(enum.Enum):
    """The owner that a file must have."""

    ANY = enum.auto()
    THIS_USER = enum.auto()
    """Other users must not be able to read or write the file."""


class NotReadable(Exception):
    """The file cannot be read, or is not a regular file. The message has the reason."""


def read(
    file: Path, at_most: int, *, links: Links = Links.REFUSED, owner: Owner = Owner.ANY
) -> bytes:
    """The content of a regular file of at most `at_most` bytes. Raises `NotReadable`."""
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
