"""A host that is a whole system: its own kernel, systemd, and a disk that it boots from.

Scripts for root run on it as on any real machine. It boots in half a minute; tests share one. Its
disk keeps changes until the lab ends, also across `power_off` and `boot`.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Mapping, Optional

from lab import disk, images, sshd
from lab.commands import LabError
from lab.host import Host, HostPlan
from lab.kernel_host import HOST_KEY, KernelHost

_BOOT = Path(__file__).with_name("system_boot.sh")
_DISK = "/disk.ext4"
_BUILT_DISK = "/built/disk.ext4"


class SystemHost(KernelHost):
    """As `KernelHost`, with the image of its plan on a disk of its own."""

    boot_seconds = 240.0
    own_disks = 1

    def start(self, addresses: Mapping[str, str], shared_store: Optional[Path] = None) -> None:
        """Boots it; returns when systemd has started all that it starts at boot."""
        disk.build(self.plan.image)
        super().start(addresses, shared_store)

    def boot(self) -> None:
        super().boot()
        # "degraded" means that a unit failed; `systemctl --failed` names it.
        state = self.run(["systemctl", "is-system-running", "--wait"], timeout=180).stdout.strip()
        if state != "running":
            failed = self.run(["systemctl", "--failed", "--plain", "--no-legend"]).stdout
            raise LabError(f"{self.name} is {state} after its boot\n{failed}")

    def _room_plan(self) -> HostPlan:
        plan = super()._room_plan()
        binds = {**plan.binds, disk.place(self.plan.image): _BUILT_DISK}
        return replace(plan, image=images.CURRENT, binds=binds)

    def _furnish(self, room: Host) -> None:
        # A copy, with its holes: the disk stays as it was built.
        room.sh(f"cp --sparse=always {_BUILT_DISK} {_DISK}")
        room.sh(f"ssh-keygen -q -t ed25519 -N '' -f {HOST_KEY}; mkdir /machine")
        room.sh(f"cp {HOST_KEY} {HOST_KEY}.pub /etc/hosts /machine")
        room.write("/machine/boot.sh", _BOOT.read_text())
        room.write("/machine/name", self.name)
        room.write("/machine/address", f"{self.address}/24")
        room.write("/machine/authorized_keys", f"{sshd.public_key(self._client)}\n")

    def _root_arguments(self) -> list[str]:
        return [
            *(f"ubda={_DISK}", "root=/dev/ubda", "rootfstype=ext4", "rw"),
            # Nothing that writes beside the tests.
            "rootflags=noinit_itable",
            *("init=/usr/sbin/lab-init", f"systemd.hostname={self.name}"),
        ]
