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

EXPORT_OPTIONS: Final = ("ro", "sync", "subtree_check", "all_squash")

EXPORT_REASONS: Final = """\
# ro                executors only read; only Nix on this machine writes
# sync              the default, stated explicitly: replies are sent after data is on the disk
# subtree_check     a client that guesses file handles gets no file outside of the store: with
#                   no_subtree_check, it gets every file of the store's file system
# all_squash        every user of an executor is nobody on this machine, and every user can read a
#                   store: a client names the user of a request, and nothing proves that"""

MOUNT_OPTIONS: Final = (
    "ro",
    "nfsvers=4.2",
    "hard",
    "lookupcache=positive",
    "nosuid",
    "nodev",
)

MOUNT_REASONS: Final = """\
# ro                    nothing on this machine can change the store
# nfsvers=4.2           one port (2049), without rpcbind, mountd and statd
# hard                  reads wait for an unavailable server, and do not fail half-way
# lookupcache=positive  no negative lookup cache: a path that was just copied is visible at once,
#                       even if it was opened in vain a moment ago
# nosuid,nodev          a Nix store has no setuid files or devices; ignore them"""


def export_options(fsid: str) -> str:
    """The options of an export, comma-separated; `fsid` may be empty."""
    return ",".join((*EXPORT_OPTIONS, f"fsid={fsid}") if fsid else EXPORT_OPTIONS)


def mount_options(*more: str) -> str:
    """The options of a mount, comma-separated."""
    return ",".join((*MOUNT_OPTIONS, *more))
