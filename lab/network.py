"""The network of a lab: a switch with no way out, and a network namespace per host.

The switch is a bridge in a namespace of its own. Nothing in a lab can reach
the outer machine's network, or another lab's: every lab may use the same
addresses.
"""

from __future__ import annotations

import ctypes
import os
from dataclasses import dataclass
from pathlib import Path

from lab.commands import check, run

_SUBNET = "10.77.0"


def address(number: int) -> str:
    """The IPv4 address of the host with that number (1-254)."""
    return f"{_SUBNET}.{number}"


_CLONE_NEWNET = 0x40000000


def enter_namespace(name: str) -> None:
    """Moves the calling thread, and no other, to that network namespace.

    A socket always belongs to the namespace of the thread that created it.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    descriptor = os.open(Path("/run/netns") / name, os.O_RDONLY)
    try:
        if libc.setns(descriptor, _CLONE_NEWNET) != 0:
            code = ctypes.get_errno()
            raise OSError(code, f"cannot enter network namespace {name}: {os.strerror(code)}")
    finally:
        os.close(descriptor)


@dataclass(frozen=True)
class Switch:
    """The switch of the lab with this name."""

    lab: str

    @property
    def namespace(self) -> str:
        """The network namespace the bridge lives in."""
        return f"{self.lab}-switch"

    def up(self) -> None:
        """Makes the switch."""
        check(["ip", "netns", "add", self.namespace])
        for line in ("set lo up", "add br0 type bridge forward_delay 0", "set br0 up"):
            check(["ip", "-n", self.namespace, "link", *line.split()])

    def plug_in(self, host: str, number: int) -> str:
        """Makes a network namespace for `host`, connects it, and returns its name."""
        namespace = f"{self.lab}-{host}"
        check(["ip", "netns", "add", namespace])
        check(["ip", "-n", namespace, "link", "set", "lo", "up"])
        port = f"port{number}"
        check(
            [
                *("ip", "-n", self.namespace, "link", "add", port),
                *("type", "veth", "peer", "name", "eth0", "netns", namespace),
            ]
        )
        check(["ip", "-n", self.namespace, "link", "set", port, "master", "br0", "up"])
        check(["ip", "-n", namespace, "address", "add", f"{address(number)}/24", "dev", "eth0"])
        check(["ip", "-n", namespace, "link", "set", "eth0", "up"])
        return namespace

    def detour(self, number: int, near: str, far: str) -> None:
        """Connects a host to the device `far` instead of the switch, and `near` to the switch.

        The program that created the devices passes frames between them.
        """
        bridge = f"wan{number}"
        for line in (
            f"add {bridge} type bridge forward_delay 0",
            f"set {bridge} up",
            f"set {near} master br0 up",
            f"set {far} master {bridge} up",
            f"set port{number} master {bridge}",
        ):
            check(["ip", "-n", self.namespace, "link", *line.split()])

    def straighten(self, number: int) -> None:
        """Undoes `detour`."""
        for line in (f"set port{number} master br0", f"delete wan{number}"):
            check(["ip", "-n", self.namespace, "link", *line.split()])

    def down(self) -> None:
        """Removes the switch and every namespace of this lab. Safe to repeat."""
        for line in run(["ip", "netns", "list"]).stdout.splitlines():
            namespace = line.split()[0]
            if namespace.startswith(f"{self.lab}-"):
                run(["ip", "netns", "delete", namespace])
