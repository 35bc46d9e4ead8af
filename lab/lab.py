"""The whole laboratory: hosts, accounts, services, and their clean end.

    workstation   Bazel and Nix; /src/nix_remote is this repository
    nix-server    Nix daemon, sshd on port 2222
    executor      takes actions; its /nix/store is the Nix server's, read-only
    service       BuildGrid
    nix-system    a Nix server that is a whole system: its own kernel, systemd, an NFS server

`up` starts the first four. The others, workstations and Nix servers with other versions
of Nix, and servers whose store is limited, are started when they are first asked for.
Every workstation can log in to every Nix server, in whichever order they start.

Every lab has a name and a folder of its own below the cache; two labs with
different names do not see each other.
"""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Callable, Final, Mapping, Optional

from lab import cache, disk, images, kernels, nix, prerequisites, remote_execution, sshd
from lab.commands import LabError, remove_tree
from lab.disk import Disk
from lab.host import Host, HostPlan, end_host
from lab.kernel_host import Hardware, KernelHost
from lab.kernels import Kernel
from lab.network import Switch
from lab.server_nix import ServerNix
from lab.system_host import SystemHost

ALIAS = "nix-server"
"""The `Host` entry of every SSH config that tests use: a trusted user of `Lab.server`."""

ROOT_ALIAS = "nix-server-root"
"""The same server, logging in as root."""

ACCOUNT = "copier"
"""The account behind `ALIAS`: an ordinary user in Nix's `trusted-users`."""

WORKSPACE = "/root/projects/app"
"""The workspace of copies; the folder need not exist."""

GUEST = "guest"
"""An account that Nix does not trust."""

SETTLE: Final = "NIX_REMOTE_SETTLE"
"""Most executors of a lab have the server's store itself, not over NFS: copies need not wait. Sites
with NFS remove the variable (`tests/nfs/site.py`)."""


def _workstation(name: str, number: int, image: images.Image) -> HostPlan:
    sources = {images.REPOSITORY: "/src/nix_remote"}
    return HostPlan(name, number, image, sources, environment={SETTLE: "0"})


_WORKSTATIONS = {
    nix.Version.CURRENT: _workstation("workstation", 10, images.WORKSTATION),
    nix.Version.V2_26: _workstation("workstation-2.26", 11, images.STABLE_WORKSTATION),
    nix.Version.V2_8: _workstation("workstation-2.8", 12, images.OLD_WORKSTATION),
}
_SERVERS = {
    nix.Version.CURRENT: HostPlan("nix-server", 20, images.SERVER),
    nix.Version.V2_26: HostPlan("nix-server-2.26", 21, images.STABLE),
    nix.Version.V2_8: HostPlan("nix-server-2.8", 22, images.OLD),
}
_SYSTEM = HostPlan("nix-system", 23, images.SYSTEM_SERVER)
_EXECUTOR = HostPlan("executor", 30, images.CURRENT)
_SERVICE = HostPlan("service", 40, images.BUILDGRID)

# A whole system needs more memory than other hosts with a kernel of their own.
_SYSTEM_MEMORY = 1024
_EXECUTOR_MEMORY = 768

_NO_DISKS: Final[Mapping[str, Disk]] = MappingProxyType({})

_FIRST_EXTRA_NUMBER = 100
_FIRST_KERNEL_NUMBER = 150

Progress = Callable[[str], None]


# Hosts that only some tests start, and the types of their stores.
_FURTHER_IMAGES: Final = (
    images.NFS_SERVER,
    images.TRACED_SERVER,
    images.KERNEL_EXECUTOR,
    images.TOKEN_WORKSTATION,
    images.PACKAGE_FILES,
)


def _silent(_: str) -> None:
    pass


def alias(server: Host, account: str = ACCOUNT) -> str:
    """The `Host` entry, on every workstation, that logs in to a Nix server as `account`."""
    return server.name if account == ACCOUNT else f"{server.name}-{account}"


class Lab:
    """A lab. Call `up()`, use its hosts, call `down()`; or use it in a `with` statement."""

    def __init__(
        self,
        name: str,
        progress: Progress = _silent,
        server_nix: Optional[ServerNix] = None,
    ) -> None:
        """With `server_nix`, every Nix server of the current version uses these builds."""
        self.name = f"nrl-{name}"
        self.folder = cache.root() / "labs" / name
        self._progress = progress
        self._server_nix = server_nix
        self._switch = Switch(self.name)
        self._workstations = {each: self._host(plan) for each, plan in _WORKSTATIONS.items()}
        self._servers = {
            each: self._host(_with(plan, self._builds(each))) for each, plan in _SERVERS.items()
        }
        self._extra_servers: list[Host] = []
        self._extra_workstations: list[Host] = []
        self._kernel_hosts: list[KernelHost] = []
        self._other_hosts: list[Host] = []
        self._system = SystemHost(
            _SYSTEM,
            self.folder / _SYSTEM.name,
            self._switch,
            self.workstation,
            Hardware(memory=_SYSTEM_MEMORY),
        )
        self.executor = self._host(_EXECUTOR)
        self.service = self._host(_SERVICE)

    def __enter__(self) -> Lab:
        self.up()
        return self

    def __exit__(self, *_: object) -> None:
        self.down()

    @property
    def hosts(self) -> Mapping[str, Host]:
        """Every host this lab can have, started or not."""
        servers = [*self._servers.values(), self._system, *self._extra_servers]
        workstations = [*self._workstations.values(), *self._extra_workstations]
        executors = [self.executor, *self._kernel_hosts]
        known = [*workstations, *servers, *executors, self.service, *self._other_hosts]
        return {host.name: host for host in known}

    @property
    def workstation(self) -> Host:
        return self._workstations[nix.Version.CURRENT]

    @property
    def server(self) -> Host:
        return self._servers[nix.Version.CURRENT]

    @property
    def ssh_server(self) -> sshd.SshServer:
        return sshd.SshServer(self.server)

    def build(self) -> None:
        """Builds the missing root trees of all hosts. Starts nothing."""
        prerequisites.ensure()
        for image in [*(host.plan.image for host in self.hosts.values()), *_FURTHER_IMAGES]:
            self._build(image)
        for kernel in Kernel:
            self._build_kernel(kernel)
        self._build_disk()

    def up(self) -> None:
        """Starts the four hosts of every lab, and the services on them."""
        self.open()
        try:
            self.workstation_with(nix.Version.CURRENT)
            self.server_with(nix.Version.CURRENT)
            self._start(self.executor, self.server)
            self._start(self.service)
            self._progress("starting the Remote Execution service and a worker")
            remote_execution.start_service(self.service)
            remote_execution.start_worker(self.executor, self.service)
        except BaseException:
            self.down()
            raise

    def open(self) -> None:
        """Creates a lab without hosts, after removing the remains of an earlier one."""
        self.down()
        prerequisites.ensure()
        self._switch.up()

    def workstation_with(self, version: nix.Version) -> Host:
        """The workstation with that Nix; started now if it is not up."""
        host = self._workstations[version]
        if host.first_process is None:
            self._start_workstation(host)
        return host

    def server_with(self, version: nix.Version) -> Host:
        """The Nix server with that Nix; started now if it is not up."""
        host = self._servers[version]
        if host.first_process is None:
            self._start_server(host, self._builds(version))
        return host

    def start(self, name: str) -> None:
        """Starts the workstation or Nix server of that name, if it is not up."""
        for version in nix.Version:
            if name == self._workstations[version].name:
                self.workstation_with(version)
            if name == self._servers[version].name:
                self.server_with(version)
        if name == self._system.name:
            self.system_server()

    def start_workstation(self, name: str, image: images.Image) -> Host:
        """Starts one more workstation, with its own root tree."""
        host = self._further_host(_workstation(name, self._next_number(), image))
        self._extra_workstations.append(host)
        self._start_workstation(host)
        return host

    def start_server(
        self,
        name: str,
        version: nix.Version,
        *,
        store_size: str = "",
        image: Optional[images.Image] = None,
        binds: Mapping[Path, str] = MappingProxyType({}),
        server_nix: Optional[ServerNix] = None,
    ) -> Host:
        """Starts one more Nix server; with a size, its store is in memory and holds no more."""
        image = image or _SERVERS[version].image
        builds = server_nix or self._builds(version)
        plan = HostPlan(name, self._next_number(), image, binds, store_size)
        host = self._further_host(_with(plan, builds))
        self._extra_servers.append(host)
        self._start_server(host, builds)
        return host

    def start_host(self, name: str, image: images.Image, binds: Mapping[Path, str]) -> Host:
        """Starts one more host, and nothing on it; `binds` as in its plan."""
        host = self._further_host(HostPlan(name, self._next_number(), image, binds))
        self._other_hosts.append(host)
        self._start(host)
        return host

    def start_kernel_executor(
        self,
        name: str,
        binds: Mapping[Path, str] = MappingProxyType({}),
        *,
        kernel: Kernel = Kernel.V6_1,
        disks: Mapping[str, Disk] = _NO_DISKS,
        memory: int = _EXECUTOR_MEMORY,
    ) -> KernelHost:
        """Starts an executor with a kernel of its own, and nothing in its `/nix/store` yet.

        `disks` are further ones, by name; `memory` is in MiB.
        """
        plan = HostPlan(name, self._next_kernel_number(), images.KERNEL_EXECUTOR, binds)
        hardware = Hardware(kernel, disks, memory)
        host = KernelHost(plan, self.folder / name, self._switch, self.workstation, hardware)
        self._start_kernel_host(host)
        return host

    def start_system_server(
        self,
        name: str,
        *,
        kernel: Kernel = Kernel.V6_1,
        disks: Mapping[str, Disk] = _NO_DISKS,
        memory: int = _SYSTEM_MEMORY,
    ) -> SystemHost:
        """Starts one more Nix server that is a whole system, as `system_server` is.

        `disks` are further ones, by name; `memory` is in MiB.
        """
        plan = HostPlan(name, self._next_kernel_number(), images.SYSTEM_SERVER)
        hardware = Hardware(kernel, disks, memory)
        host = SystemHost(plan, self.folder / name, self._switch, self.workstation, hardware)
        self._build_disk()
        self._start_kernel_host(host)
        return host

    def system_server(self) -> SystemHost:
        """The Nix server that is a whole system; booted now if it is not up.

        The current workstation, which has to be up, logs in to it as root.
        """
        if self._system.first_process is None:
            self._build_disk()
            self._build_kernel(self._system.hardware.kernel)
            self._start(self._system)
        return self._system

    def down(self) -> None:
        """Ends every process and mount of this lab and deletes its files. Safe to repeat."""
        for host in self.hosts.values():
            host.remove()
        self._extra_servers.clear()
        self._extra_workstations.clear()
        self._kernel_hosts.clear()
        self._other_hosts.clear()
        # Servers that another process added to this lab.
        for folder in self.folder.glob("*"):
            end_host(folder)
        self._switch.down()
        remove_tree(self.folder)

    def _builds(self, version: nix.Version) -> Optional[ServerNix]:
        return self._server_nix if version is nix.Version.CURRENT else None

    def _host(self, plan: HostPlan) -> Host:
        return Host(plan, self.folder / plan.name, self._switch)

    def _further_host(self, plan: HostPlan) -> Host:
        self._refuse_second(plan.name)
        return self._host(plan)

    def _refuse_second(self, name: str) -> None:
        if name in self.hosts:
            raise LabError(f"the lab {self.name} has a host named {name} already")

    def _next_number(self) -> int:
        extra = (self._extra_servers, self._extra_workstations, self._other_hosts)
        return _FIRST_EXTRA_NUMBER + sum(len(hosts) for hosts in extra)

    def _next_kernel_number(self) -> int:
        return _FIRST_KERNEL_NUMBER + len(self._kernel_hosts)

    def _start_kernel_host(self, host: KernelHost) -> None:
        self._refuse_second(host.name)
        self._kernel_hosts.append(host)
        self._build_kernel(host.hardware.kernel)
        self._start(host)

    def _running_servers(self) -> list[Host]:
        servers = [*self._servers.values(), *self._extra_servers]
        return [host for host in servers if host.first_process is not None]

    def _build(self, image: images.Image) -> None:
        if not images.is_built(image):
            self._progress(f"building the root tree '{image.name}' (once; it is kept)")
        images.lower_directories(image)

    def _build_kernel(self, kernel: Kernel) -> None:
        self._build(kernels.image(kernel))
        if not kernels.is_of_its_series(kernel):
            newest = kernels.release(kernel)
            self._progress(f"Debian has no kernel {kernel.value} any more: it is {newest} instead")

    def _build_disk(self) -> None:
        self._build(_SYSTEM.image)
        disk.build(_SYSTEM.image)

    def _start(self, host: Host, store_of: Optional[Host] = None) -> None:
        self._build(host.plan.image)
        self._progress(f"starting {host.name}")
        addresses = {each.name: each.address for each in self.hosts.values()}
        host.start(addresses, store_of.store if store_of is not None else None)

    def _start_workstation(self, host: Host) -> None:
        self._start(host)
        nix.configure(host, first_user_id=_first_user_id(host))
        self._build(images.PACKAGE_FILES)
        nix.install_package_set(host)
        for server in self._running_servers():
            _acquaint(host, server)

    def _start_server(self, host: Host, builds: Optional[ServerNix]) -> None:
        self._start(host)
        if builds is not None:
            builds.install(host)
        for account in (ACCOUNT, GUEST):
            sshd.add_account(host, account)
        trusted = f"trusted-users = root {ACCOUNT}\n"
        nix.configure(host, first_user_id=_first_user_id(host), extra=trusted)
        nix.start_daemon(host)
        sshd.SshServer(host).start()
        for workstation in (*self._workstations.values(), *self._extra_workstations):
            if workstation.first_process is not None:
                _acquaint(workstation, host)


def _with(plan: HostPlan, builds: Optional[ServerNix]) -> HostPlan:
    """A plan whose host sees what `builds` install."""
    return plan if builds is None else replace(plan, binds={**plan.binds, **builds.binds()})


def _first_user_id(host: Host) -> int:
    return 30_000 + 100 * host.plan.number


def _acquaint(workstation: Host, server: Host) -> None:
    """Lets a workstation log in to all accounts of a server."""
    accounts = (ACCOUNT, "root", GUEST)
    for account in accounts:
        sshd.authorize(server, account, sshd.public_key(workstation))
    aliases = {alias(server, account): account for account in accounts}
    sshd.introduce(workstation, sshd.SshServer(server), aliases)


def names() -> list[str]:
    """The names of the labs that left a folder behind, up or not."""
    folder = cache.root() / "labs"
    return sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []


def remove_abandoned(kind: str) -> None:
    """Ends the labs named `kind` and a process id (and more) whose process was killed."""
    for name in names():
        owner = re.match(rf"{kind}(\d+)", name)
        if owner and not Path(f"/proc/{owner[1]}").exists():
            Lab(name).down()
