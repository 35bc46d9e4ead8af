"""Disks of hosts that have a kernel of their own.

A *disk image* of a root tree is for hosts that boot from it. It is built once and never changed: a
host writes to a copy (`system_host.py`). A `Disk` is a further one, which begins empty.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Optional

from lab import cache, images
from lab.commands import run


class FileSystem(Enum):
    """The file systems that a disk can have at first."""

    EXT4 = "ext4"
    BTRFS = "btrfs"


@dataclass(frozen=True)
class Disk:
    """A disk for a host: a sparse file, with a file system that is new, or with nothing on it."""

    file_system: Optional[FileSystem]
    mebibytes: int


_FILE = "disk.ext4"
_SIZE = "24G"
"""Size of the file system, with as much room as a Nix server should have; the file is sparse."""

# The tree as a host would see it, through an overlay in a mount namespace of its own.
_MAKE = r"""
set -eu
mkdir -p "$SCRATCH/upper" "$SCRATCH/work" "$SCRATCH/root"
mount -t overlay overlay -o "lowerdir=$SCRATCH/upper:$LOWER" "$SCRATCH/root"
mke2fs -q -t ext4 -E lazy_itable_init=1,lazy_journal_init=1,root_owner=0:0 \
  -i 32768 -J size=32 -m 0 -d "$SCRATCH/root" "$DISK" "$SIZE"
umount "$SCRATCH/root"
rm -r "$SCRATCH"
"""


def place(image: images.Image) -> Path:
    """The file with an ext4 file system of that root tree, whether or not it has been built."""
    return cache.root() / _name(image) / _FILE


def build(image: images.Image) -> None:
    """Makes that file, unless an earlier run has made it."""
    lower = images.lower_directories(image)

    def make(folder: Path) -> None:
        env = {
            "PATH": os.defpath + ":/usr/sbin:/sbin",
            "LOWER": ":".join(str(each) for each in lower),
            "SCRATCH": str(folder / "scratch"),
            "DISK": str(folder / _FILE),
            "SIZE": _SIZE,
        }
        command = ["unshare", "--mount", "--propagation", "private", "bash", "-c", _MAKE]
        run(command, timeout=900, env=env).check()

    cache.build_once(_name(image), make)


def _name(image: images.Image) -> str:
    return f"disk-{cache.digest(images.folder_name(image), _MAKE, _SIZE)}"
