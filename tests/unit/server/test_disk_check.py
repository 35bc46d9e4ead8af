from __future__ import annotations

from typing import Optional

import pytest

from nix_remote.errors import ServerDiskFull, ServerStoreReadOnly
from nix_remote.server.disk_check import diagnosis

ROOMY = "disk /nix/store 1000 4096 500 400\ndisk /nix/var/nix/db 1000 4096 500 400\n"
MOUNTS = "mount / rw,relatime\nmount /proc rw\n"


@pytest.mark.parametrize(
    ("seen", "expected"),
    [
        (ROOMY + MOUNTS, None),
        ("disk /nix/store 255 4096 500 400\n" + MOUNTS, ServerDiskFull),
        ("disk /nix/store 1000 4096 500 0\n" + MOUNTS, ServerDiskFull),
        # Some file systems have no fixed number of inodes.
        ("disk /nix/store 1000 4096 0 0\n" + MOUNTS, None),
        (ROOMY + "mount / ro,relatime\n", ServerStoreReadOnly),
        (ROOMY + "mount / ro\nmount /nix/var rw\n", None),
        (
            ROOMY + "mount / rw\nmount /nix/var/nix/db rw\nmount /nix/var/nix/db ro\n",
            ServerStoreReadOnly,
        ),
        # NixOS mounts the store so; its daemon gets around it.
        (ROOMY + MOUNTS + "mount /nix/store ro\n", None),
        (ROOMY + "mount / errors=remount-ro,rw\n", None),
        ("", None),
        ("this account may only run nix-store --serve", None),
        ("disk /nix/store stat: no such file", None),
    ],
)
def test_what_the_disks_look_like_says_why_a_session_ended(
    seen: str, expected: Optional[type[Exception]]
) -> None:
    error = diagnosis(seen, "server")
    assert (None if error is None else type(error)) is expected
