"""Checks the server's disks, to diagnose a session that ended without a reason.

A daemon that cannot write reports that to its own log, not to the client. So the disks are
checked over the same connection, once, when a session has ended. If the account may not run the
command, there is no diagnosis.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Final, Mapping, Optional

from nix_remote.errors import NixRemoteError, ServerDiskFull, ServerStoreReadOnly
from nix_remote.server.remote_exec import RemoteExec
from nix_remote.text import decimal

_DATABASE: Final = PurePosixPath("/nix/var/nix/db")
# Free blocks, block size, all inodes, free inodes; then the mounts and their options.
# One line without single quotes: every login shell passes it on unchanged.
DISK_COMMAND: Final = (
    "sh",
    "-c",
    f"for folder in /nix/store {_DATABASE}; do"
    ' echo "disk $folder $(stat --file-system --format="%a %S %c %d" "$folder")"; done;'
    ' while read -r _ point _ options _; do echo "mount $point $options"; done'
    " </proc/self/mounts",
)
_TOO_LITTLE: Final = 1024 * 1024
"""Bytes. With less, Nix cannot register a path."""


def examine(remote_exec: RemoteExec, alias: str) -> Optional[NixRemoteError]:
    """The error that explains the end of a session; None if the disks do not."""
    try:
        done = remote_exec.run(DISK_COMMAND, waiting_for="a check of its disks")
    except NixRemoteError:
        return None
    return diagnosis(done.stdout, alias)


@dataclass(frozen=True)
class Disk:
    """The free space of a file system."""

    folder: str
    free_bytes: int
    has_inodes: bool


def disks(output: str) -> list[Disk]:
    """The disks in the output of `DISK_COMMAND`; empty if another command ran."""
    found = []
    for line in map(str.split, output.splitlines()):
        numbers = [number for word in line[2:] if (number := decimal(word)) is not None]
        if len(line) == 6 and line[0] == "disk" and len(numbers) == 4:
            free, size, inodes, free_inodes = numbers
            found.append(Disk(line[1], free * size, not inodes or free_inodes > 0))
    return found


def diagnosis(output: str, alias: str) -> Optional[NixRemoteError]:
    """The error for the output of `DISK_COMMAND`; None if the disks are usable or unknown."""
    for disk in disks(output):
        if disk.free_bytes < _TOO_LITTLE:
            free = f"{disk.free_bytes} bytes free"
            return ServerDiskFull(alias, f"no error, but {disk.folder} has {free}")
        if not disk.has_inodes:
            return ServerDiskFull(alias, f"no error, but {disk.folder} has no free inodes")
    lines = [line.split() for line in output.splitlines()]
    # Of several mounts on one folder, the last one is visible.
    mounts = {PurePosixPath(line[1]): line[2] for line in lines if len(line) == 3}
    if "ro" in _options(mounts).split(","):
        return ServerStoreReadOnly(alias, f"no error, but {_DATABASE} is mounted read-only")
    return None


def _options(mounts: Mapping[PurePosixPath, str]) -> str:
    """The mount options of the file system that has the database."""
    for folder in (_DATABASE, *_DATABASE.parents):
        if folder in mounts:
            return mounts[folder]
    return ""
