"""The whole laboratory: hosts, accounts, services, and their clean end.

    workstation   Bazel and Nix; /src/nix_remote is this repository
    nix-server    Nix daemon, sshd on port 2222
    executor      takes actions; its /nix/store is the Nix server's, read-only
    service       BuildGrid

Every lab has a name and a folder of its own below the cache; two labs with
different names do not see each other.
"""

from __future__ import annotations

import shutil
from typing import Callable, Mapping

from tests.lab import cache, images, nix, prerequisites, remote_execution, sshd
from tests.lab.host import Host, HostPlan
from tests.lab.network import Switch

ALIAS = "nix-server"
"""The `Host` entry of the workstation's SSH config that tests use: a trusted user."""

ROOT_ALIAS = "nix-server-root"
"""The same server, logging in as root."""

ACCOUNT = "copier"
"""The account behind `ALIAS`: an ordinary user in Nix's `trusted-users`."""

_PLANS = (
    HostPlan("workstation", 10, images.WORKSTATION, {images.REPOSITORY: "/src/nix_remote"}),
    HostPlan("nix-server", 20, images.CURRENT),
    HostPlan("executor", 30, images.CURRENT),
    HostPlan("service", 40, images.BUILDGRID),
)

Progress = Callable[[str], None]


def _silent(_: str) -> None:
    pass


class Lab:
    """A lab. Make it, `up()` it, use its hosts, `down()` it; or use it in a `with` statement."""

    def __init__(self, name: str, progress: Progress = _silent) -> None:
        self.name = f"nrl-{name}"
        self.folder = cache.root() / "labs" / name
        self._progress = progress
        self._switch = Switch(self.name)
        self.hosts: Mapping[str, Host] = {
            plan.name: Host(plan, self.folder / plan.name, self._switch) for plan in _PLANS
        }

    def __enter__(self) -> Lab:
        self.up()
        return self

    def __exit__(self, *_: object) -> None:
        self.down()

    @property
    def workstation(self) -> Host:
        return self.hosts["workstation"]

    @property
    def server(self) -> Host:
        return self.hosts["nix-server"]

    @property
    def executor(self) -> Host:
        return self.hosts["executor"]

    @property
    def service(self) -> Host:
        return self.hosts["service"]

    @property
    def ssh_server(self) -> sshd.SshServer:
        return sshd.SshServer(self.server)

    def is_up(self) -> bool:
        return all(host.first_process is not None for host in self.hosts.values())

    def up(self) -> None:
        """Starts everything; what an earlier lab of this name left is removed first."""
        self.down()
        prerequisites.ensure()
        self._build_images()
        try:
            self._start_hosts()
            self._start_nix()
            self._start_ssh()
            self._progress("starting the Remote Execution service and a worker")
            remote_execution.start_service(self.service)
            remote_execution.start_worker(self.executor, self.service)
        except BaseException:
            self.down()
            raise

    def down(self) -> None:
        """Ends every process and mount of this lab and deletes its files. Safe to repeat."""
        for host in self.hosts.values():
            host.remove()
        self._switch.down()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _build_images(self) -> None:
        wanted = {plan.image for plan in _PLANS} | {images.PACKAGE_FILES}
        for image in sorted(wanted, key=lambda image: image.name):
            if not images.is_built(image):
                self._progress(f"building the root tree '{image.name}' (once; it is kept)")
            images.lower_directories(image)

    def _start_hosts(self) -> None:
        self._progress("starting " + ", ".join(self.hosts))
        self._switch.up()
        addresses = {name: host.address for name, host in self.hosts.items()}
        for name, host in self.hosts.items():
            host.start(addresses, self.server.store if name == "executor" else None)

    def _start_nix(self) -> None:
        sshd.add_account(self.server, ACCOUNT)
        nix.configure(self.workstation, first_user_id=30_000)
        nix.configure(self.server, first_user_id=31_000, extra=f"trusted-users = root {ACCOUNT}\n")
        nix.start_daemon(self.server)
        nix.install_package_set(self.workstation)

    def _start_ssh(self) -> None:
        key = sshd.public_key(self.workstation)
        for account in ("root", ACCOUNT):
            sshd.authorize(self.server, account, key)
        self.ssh_server.start()
        aliases = {ALIAS: ACCOUNT, ROOT_ALIAS: "root"}
        sshd.write_client_config(self.workstation, self.ssh_server, aliases)


def names() -> list[str]:
    """The names of the labs that left a folder behind, up or not."""
    folder = cache.root() / "labs"
    return sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []
