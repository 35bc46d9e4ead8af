"""The options with which the server's store is exported and mounted, and their reasons.

The figures behind them are in docs/nfs.md. Pure.
"""

from __future__ import annotations

from typing import Final

STORE: Final = "/nix/store"

SENTINEL: Final = "/nix/store/.links"
"""A folder that only Nix stores have: it shows that the store is mounted."""

PORT: Final = 2049
"""The only port that NFS 4 needs."""

EXPORT_OPTIONS: Final = ("ro", "sync", "subtree_check", "root_squash")

EXPORT_REASONS: Final = """\
# ro             executors only read; only Nix on this machine writes
# sync           the default, stated explicitly: replies are sent after data is on the disk
# subtree_check  refuses file handles from outside the store: without it, a client that makes up
#                handles reads everything on the same file system, as any user but root
# root_squash    root on an executor is nobody on this machine; every user can read a store"""

MOUNT_OPTIONS: Final = (
    "ro",
    "nfsvers=4.2",
    "hard",
    "acdirmin=1",
    "acdirmax=1",
    "nosuid",
    "nodev",
)

MOUNT_REASONS: Final = """\
# ro            nothing on this machine can change the store
# nfsvers=4.2   one port (2049), without rpcbind, mountd and statd; and a folder's changes are
#               counted: with NFS 3, two changes in one tick of the server's clock can hide a path
# hard          reads wait for an unavailable server, and do not fail half-way
# acdirmin=1,acdirmax=1  a name that was looked up in vain counts as absent for at most 1 s:
#               nix-remote ends a copy no earlier than that after its last path became valid
#               (NIX_REMOTE_SETTLE)
# nosuid,nodev  a Nix store has no setuid files or devices; ignore them"""


def export_options(fsid: str) -> str:
    """The options of an export, comma-separated; `fsid` may be empty."""
    return ",".join((*EXPORT_OPTIONS, f"fsid={fsid}") if fsid else EXPORT_OPTIONS)


def mount_options(*more: str) -> str:
    """The options of a mount, comma-separated."""
    return ",".join((*MOUNT_OPTIONS, *more))
