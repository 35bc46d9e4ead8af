"""Why a server ended a session without a word that says it: a look at its disks.

A daemon that cannot work tells its own log, not the client. So the disks are
looked at over the same connection, once, when a session has ended. The
account may be restricted to other commands; then nothing is learnt.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Final, Mapping, Optional

from nix_remote.errors import NixRemoteError, ServerDiskFull, ServerStoreReadOnly
from nix_remote.server.remote_exec import RemoteExec
from nix_remote.text import decimal

_DATABASE: Final = PurePosixPath("/nix/var/nix/db")
# Free blocks, the size of one, all inodes, free inodes; then what is mounted where.
# One line, and no single quotes: every login shell hands it on as it is.
DISK_COMMAND: Final = (
    "sh",
    "-c",
    f"for folder in /nix/store {_DATABASE}; do"
    ' echo "disk $folder $(stat --file-system --format="%a %S %c %d" "$folder")"; done;'
    ' while read -r _ point _ options _; do echo "mount $point $options"; done'
    " </proc/self/mounts",
)
_TOO_LITTLE: Final = 1024 * 1024
"""Bytes. Nothing can be registered with less."""


def examine(remote_exec: RemoteExec, alias: str) -> Optional[NixRemoteError]:
    """The error that explains the end of a session; None if the disks do not."""
    try:
        done = remote_exec.run(DISK_COMMAND, waiting_for="a look at its disks")
    except NixRemoteError:
        return None
    return diagnosis(done.stdout, alias)


@dataclass(frozen=True)
class Disk:
    """What is left of a file system."""

    folder: str
    free_bytes: int
    has_inodes: bool


def disks(seen: str) -> list[Disk]:
    """The disks in the output of a look at them; none where it is something else."""
    found = []
    for line in map(str.split, seen.splitlines()):
        numbers = [number for word in line[2:] if (number := decimal(word)) is not None]
        if len(line) == 6 and line[0] == "disk" and len(numbers) == 4:
            free, size, inodes, free_inodes = numbers
            found.append(Disk(line[1], free * size, not inodes or free_inodes > 0))
    return found


def diagnosis(seen: str, alias: str) -> Optional[NixRemoteError]:
    """What the output of a look at the disks means; None if nothing is wrong, or nothing known."""
    for disk in disks(seen):
        if disk.free_bytes < _TOO_LITTLE:
            left = f"{disk.free_bytes} bytes"
            return ServerDiskFull(alias, f"nothing, but {disk.folder} has {left} left")
        if not disk.has_inodes:
            return ServerDiskFull(alias, f"nothing, but {disk.folder} has no inodes left")
    lines = [line.split() for line in seen.splitlines()]
    # Of several mounts on one point, the last is the one that is seen.
    mounts = {PurePosixPath(line[1]): line[2] for line in lines if len(line) == 3}
    if "ro" in _options(mounts).split(","):
        return ServerStoreReadOnly(alias, f"nothing, but {_DATABASE} is mounted read-only")
    return None


def _options(mounts: Mapping[PurePosixPath, str]) -> str:
    """The options with which the file system of the database is mounted."""
    for folder in (_DATABASE, *_DATABASE.parents):
        if folder in mounts:
            return mounts[folder]
    return ""
