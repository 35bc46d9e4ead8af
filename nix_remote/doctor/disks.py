"""Room for the store and its database on the server. Pure: what `DISK_COMMAND` prints, judged."""

from __future__ import annotations

from typing import Final

from nix_remote.doctor.finding import Finding, broken, from_error, ok, unknown, warning
from nix_remote.server.disk_check import diagnosis, disks

LAYER: Final = "disk"

LITTLE: Final = 5 * 2**30
"""Bytes: a toolchain or two."""


def judge(seen: str, alias: str) -> list[Finding]:
    """What is wrong with the disks."""
    found = disks(seen)
    if not found:
        return [unknown(LAYER, "room", "this account may not look at the disks")]
    error = diagnosis(seen, alias)
    if error is not None:
        return [from_error(LAYER, "room", error)]
    if not any(disk.folder == "/nix/store" for disk in found):
        fix = "let it have Nix with the usual store: paths are built into programs"
        return [broken(LAYER, "store", f"{alias} has no /nix/store", fix)]
    least = min(found, key=lambda disk: disk.free_bytes)
    room = f"{least.free_bytes / 2**30:.1f} GiB free for {least.folder}"
    if least.free_bytes < LITTLE:
        fix = (
            f"ssh {alias} nix-store --gc, or younger roots: nix-remote roots prune --older-than 7d"
        )
        return [warning(LAYER, "room", room, fix)]
    return [ok(LAYER, "room", room)]
