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

EXPORT_OPTIONS: Final = ("ro", "sync", "all_squash", "subtree_check")

_READ_ONLY_REASONS: Final = """\
# ro                executors only read; only Nix on this machine writes
# sync              the default, stated explicitly: replies are sent after data is on the disk
# all_squash        every user of an executor is nobody on this machine, and every user can read a
#                   store: a client names the user of a request, and nothing proves that"""

_SUBTREE_REASON: Final = """\
# subtree_check     a client that guesses file handles gets no file outside of the store: with
#                   no_subtree_check, it gets every file of the store's file system"""

_FSID_REASONS: Final = """\
# fsid              identifies the export, because its file system has no UUID
# no_subtree_check  such file systems (tmpfs, ZFS, overlays) do not support subtree_check: every
#                   file is stale. Give the store a file system of its own"""

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
    """The options of an export, comma-separated; `fsid` is empty if the file system has a UUID."""
    if not fsid:
        return ",".join(EXPORT_OPTIONS)
    return ",".join((*EXPORT_OPTIONS, f"fsid={fsid}")).replace("subtree", "no_subtree")


def export_reasons(fsid: str) -> str:
    """The reasons for these options, as comments."""
    return f"{_READ_ONLY_REASONS}\n{_FSID_REASONS if fsid else _SUBTREE_REASON}"


def mount_options(*more: str) -> str:
    """The options of a mount, comma-separated."""
    return ",".join((*MOUNT_OPTIONS, *more))
