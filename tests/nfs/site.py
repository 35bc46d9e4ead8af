"""A site: a Nix server that exports its store, and an executor with a kernel that mounts it."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Iterator, Mapping

from lab import images, nfs, nix
from lab.host import Host
from lab.kernel_host import KernelHost
from lab.lab import SETTLE, Lab

STORE = "/nix/store"


@dataclass(frozen=True)
class Site:
    """The hosts of a site. The server exports the store; tests mount it."""

    lab: Lab
    workstation: Host
    server: Host
    executor: KernelHost

    def mount(self, options: str) -> None:
        """Mounts the server's store on the executor, in place of an earlier mount."""
        self.unmount()
        self.executor.sh(f"mount -t nfs -o {options} {self.server.address}:{STORE} {STORE}")

    def unmount(self) -> None:
        """Leaves the executor without a store."""
        self.executor.sh(f"if grep -q ' {STORE} ' /proc/self/mounts; then umount {STORE}; fi")


def start(lab: Lab, name: str, binds: Mapping[Path, str] = MappingProxyType({})) -> Site:
    """A site's hosts in a lab that is up; they end with it. `binds` are the executor's.

    `name` is the first part of their names: a lab may have several sites.
    """
    # As on people's machines: the default.
    lab.workstation.environment.pop(SETTLE)
    server = lab.start_server(f"{name}-server", nix.Version.CURRENT, image=images.NFS_SERVER)
    nfs.export(server)
    executor = lab.start_kernel_executor(f"{name}-executor", binds)
    return Site(lab, lab.workstation, server, executor)


@contextmanager
def running(lab: Lab) -> Iterator[Site]:
    """A site in a lab without other hosts; it ends with the `with` block."""
    lab.open()
    try:
        lab.workstation_with(nix.Version.CURRENT)
        yield start(lab, "nfs")
    finally:
        lab.down()
