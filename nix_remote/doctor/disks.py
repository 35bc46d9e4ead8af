"""Checks free space for the server's store and database. Pure: judges output of `DISK_COMMAND`."""

from __future__ import annotations

from typing import Final

from nix_remote.doctor.finding import Finding, broken, from_error, ok, unknown, warning
from nix_remote.server.disk_check import diagnosis, disks

LAYER: Final = "disk"

LITTLE: Final = 5 * 2**30
"""Bytes: the size of one or two toolchains."""


def judge(output: str, alias: str) -> list[Finding]:
    """The findings for the output of `DISK_COMMAND`."""
    found = disks(output)
    if not found:
        return [unknown(LAYER, "room", "this account may not check the disks")]
    error = diagnosis(output, alias)
    if error is not None:
        return [from_error(LAYER, "room", error)]
    if not any(disk.folder == "/nix/store" for disk in found):
        fix = "install Nix with the store /nix/store: programs contain absolute store paths"
        return [broken(LAYER, "store", f"{alias} has no /nix/store", fix)]
    least = min(found, key=lambda disk: disk.free_bytes)
    room = f"{least.free_bytes / 2**30:.1f} GiB free for {least.folder}"
    if least.free_bytes < LITTLE:
        fix = (
            f"ssh {alias} nix-store --gc, or keep fewer roots: nix-remote roots prune"
            " --older-than 7d"
        )
        return [warning(LAYER, "room", room, fix)]
    return [ok(LAYER, "room", room)]
