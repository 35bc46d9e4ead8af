"""A site: a Nix server that exports its store, and an executor with a kernel that mounts it.

The kernel's NFS server is that of a whole system, which the script of `setup server` has set up,
and nothing else. nfs-ganesha exports the store of a host without a kernel of its own.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Final, Iterator, Mapping

from lab import images, nfs, nix, sshd
from lab.commands import Outcome
from lab.host import Host
from lab.kernel_host import KernelHost
from lab.kernels import Kernel
from lab.lab import SETTLE, Lab
from lab.system_host import SystemHost

STORE: Final = "/nix/store"
ACCOUNT: Final = "nix-remote"
"""The account that the script of `setup server` makes."""


@dataclass(frozen=True)
class Site:
    """The hosts of a site. The server exports the store; tests mount it.

    The workstation's SSH config has an entry with the server's name.
    """

    lab: Lab
    workstation: Host
    server: Host
    executor: KernelHost
    signing_key: str = ""
    """The file, on the workstation, of the key that copies are signed with, if they have to be."""

    @property
    def copier_environment(self) -> Mapping[str, str]:
        """For programs that copy to the server."""
        return {"NIX_REMOTE_SIGN_KEY_FILE": self.signing_key} if self.signing_key else {}

    def copy(self, path: str) -> Outcome:
        """Copies a closure to the server."""
        command = ["nix-remote", "copy", "--host", self.server.name, path]
        run = self.workstation.run
        return run(command, env=self.copier_environment, timeout=120).check()

    def mount(self, options: str) -> None:
        """Mounts the server's store on the executor, in place of an earlier mount."""
        self.unmount()
        self.executor.sh(f"mount -t nfs -o {options} {self.server.address}:{STORE} {STORE}")

    def unmount(self) -> None:
        """Leaves the executor without a store."""
        self.executor.sh(f"if grep -q ' {STORE} ' /proc/self/mounts; then umount {STORE}; fi")


def start(lab: Lab, name: str, binds: Mapping[Path, str] = MappingProxyType({})) -> Site:
    """A site's hosts in a lab that is up, with nfs-ganesha; they end with it.

    `name` is the first part of their names: a lab may have several sites. `binds` are the
    executor's.
    """
    return with_ganesha(lab, name, lab.start_kernel_executor(f"{name}-executor", binds))


def with_ganesha(lab: Lab, name: str, executor: KernelHost) -> Site:
    """A site with an executor that is there, and a server that nfs-ganesha runs on."""
    return Site(lab, _with_usual_settle_time(lab), ganesha_server(lab, f"{name}-server"), executor)


def ganesha_server(lab: Lab, name: str) -> Host:
    """A Nix server whose store nfs-ganesha exports."""
    server = lab.start_server(name, nix.Version.CURRENT, image=images.NFS_SERVER)
    nfs.export(server)
    return server


def with_kernels_server(lab: Lab, name: str, executor: KernelHost) -> Site:
    """A site with an executor that is there, and a server that only the generated script set up."""
    return of_system(lab, lab.start_system_server(f"{name}-server"), executor)


def of_system(lab: Lab, server: SystemHost, executor: KernelHost, *words: str) -> Site:
    """A site with both hosts there. Runs the script of `setup server` with these words more."""
    signing_key = set_up(lab, server, *words)
    sshd.introduce(lab.workstation, sshd.SshServer(server, 22), {server.name: ACCOUNT})
    return Site(lab, lab.workstation, server, executor, signing_key)


def set_up(lab: Lab, server: SystemHost, *words: str) -> str:
    """Runs the script of `setup server`; returns the file of the key that signs copies."""
    workstation = _with_usual_settle_time(lab)
    sshd.public_key(workstation)
    keys = nix.new_signing_keys(workstation, "me-1")
    command = [
        *("nix-remote", "setup", "server", "--public-key", "/root/.ssh/id_ed25519.pub"),
        *("--trusted-key", keys.public, "--executors", "10.77.0.0/24", "--room", "1M", *words),
    ]
    script = workstation.run(command).check().stdout
    server.run(["sh"], stdin=script, timeout=300).check()
    return keys.secret


def _with_usual_settle_time(lab: Lab) -> Host:
    """The workstation, whose copies wait until executors see new paths, as people's do."""
    lab.workstation.environment.pop(SETTLE, None)
    return lab.workstation


@contextmanager
def running(lab: Lab) -> Iterator[Site]:
    """A site with the kernel's server in a lab without other hosts; ends with the `with` block."""
    lab.open()
    try:
        lab.workstation_with(nix.Version.CURRENT)
        executor = lab.start_kernel_executor("nfs-executor", kernel=Kernel.V7_2)
        yield with_kernels_server(lab, "nfs", executor)
    finally:
        lab.down()
