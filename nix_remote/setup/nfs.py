"""How the server's store is exported and mounted: one place for the options and their reasons.

The figures behind them are in docs/nfs.md. Pure.
"""

from __future__ import annotations

from typing import Final

STORE: Final = "/nix/store"

SENTINEL: Final = "/nix/store/.links"
"""Every Nix store has this folder, and nothing else has: by it one sees that the store is there."""

PORT: Final = 2049
"""All that NFS 4 needs to be let through."""

EXPORT_OPTIONS: Final = ("ro", "sync", "no_subtree_check", "root_squash")

EXPORT_REASONS: Final = """\
# ro                executors read; all that is written goes through Nix on this machine
# sync              the default, written down: nothing is answered before it is on the disk
# no_subtree_check  Nix adds paths by renaming, which checks of subtrees stumble over
# root_squash       root of an executor is nobody here; all of a store can be read by everybody"""

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
# nfsvers=4.2           one port (2049), and no rpcbind, mountd and statd beside it
# hard                  a server that is away is waited for; reads never fail half-way
# lookupcache=positive  "no such file" is never remembered: a path that has just been copied is
#                       seen at once, even where it was looked for in vain a moment ago
# nosuid,nodev          a Nix store has no such files; what claims to be one is not obeyed"""


def export_options(fsid: str) -> str:
    """The options of an export, comma-separated; `fsid` may be empty."""
    return ",".join((*EXPORT_OPTIONS, f"fsid={fsid}") if fsid else EXPORT_OPTIONS)


def mount_options(*more: str) -> str:
    """The options of a mount, comma-separated."""
    return ",".join((*MOUNT_OPTIONS, *more))
