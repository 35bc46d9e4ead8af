"""A workstation for each Python, with an environment for each combination of libraries."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from typing import Mapping

import pytest

from lab import lab as laboratory
from lab import nix, remote_execution, sshd
from lab.commands import Outcome
from lab.host import Host
from lab.lab import ALIAS, WORKSPACE, Lab
from tests.versions import pythons
from tests.versions.cells import Cell, cells

KEY_TYPES = ("ecdsa", "rsa")
"""Beside ed25519, which the lab uses everywhere."""
POOL = "versions"
CONFIG = "/root/.ssh/config"

_numbers = itertools.count(1)


@dataclass(frozen=True)
class Tried:
    """A combination that is installed on a workstation."""

    cell: Cell
    host: Host

    @property
    def python(self) -> str:
        return f"{self.cell.folder}/bin/python"

    @property
    def environment(self) -> Mapping[str, str]:
        """No other combination's agent is to be asked."""
        return {"XDG_RUNTIME_DIR": f"/run/cells/{self.cell.name}", "LC_ALL": "C.UTF-8"}

    def run(self, *words: str, timeout: float = 120) -> Outcome:
        """Runs `nix-remote`."""
        command = [self.python, "-m", "nix_remote", *words]
        return self.host.run(command, env=self.environment, timeout=timeout)

    def copy(self, *words: str, alias: str = ALIAS) -> Outcome:
        return self.run("copy", f"--workspace={WORKSPACE}", f"--host={alias}", *words)

    def new_path(self) -> str:
        """Adds a path to the local store that no server has."""
        name = f"of-{self.cell}-{next(_numbers)}"
        self.host.write(f"/tmp/{name}", f"{name}\n")
        return self.host.run(["nix-store", "--add", f"/tmp/{name}"]).check().stdout.strip()


@dataclass
class Workstations:
    """One for each Python; started when it is first asked for."""

    lab: Lab
    started: dict[str, Host] = field(default_factory=dict)

    def with_python(self, python: str) -> Host:
        if python not in self.started:
            self.started[python] = self._start(python)
        return self.started[python]

    def _start(self, python: str) -> Host:
        image = pythons.image(python, [cell for cell in cells() if cell.python == python])
        if image is None:
            pytest.skip(f"neither Debian nor this machine has a Python {python}")
        host = self.lab.start_workstation(f"python{python}", image)
        for kind in KEY_TYPES:
            _make_entry(host, self.lab.server, kind)
        return host


def _make_entry(client: Host, server: Host, kind: str) -> None:
    """Lets a client log in with a key of that kind, by an entry of that name."""
    file = f"/root/.ssh/by-{kind}"
    client.run(["ssh-keygen", "-q", "-t", kind, "-N", "", "-f", file]).check()
    sshd.authorize(server, laboratory.ACCOUNT, client.read(f"{file}.pub").strip())
    entry = (
        f"Host by-{kind}\n"
        f"    HostName {server.address}\n"
        f"    Port {sshd.PORT}\n"
        f"    User {laboratory.ACCOUNT}\n"
        f"    IdentityFile {file}\n"
        "    IdentitiesOnly yes\n"
    )
    client.write(CONFIG, f"{client.read(CONFIG)}\n{entry}", mode="600")


@pytest.fixture(scope="session")
def workstations(lab: Lab) -> Workstations:
    nix.empty_store(lab.server)
    folders = ("/bin", "/lib", "/lib64", "/usr", "/nix/store")
    remote_execution.start_worker_of_pool(lab.executor, lab.service, POOL, folders)
    return Workstations(lab)


@pytest.fixture(scope="module")
def tried(request: pytest.FixtureRequest, workstations: Workstations) -> Tried:
    """The combination that the tests are run with."""
    cell: Cell = request.param
    host = workstations.with_python(cell.python)
    host.sh(f"mkdir -p -m 700 /run/cells/{cell.name}")
    return Tried(cell, host)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "tried" in metafunc.fixturenames:
        params = [pytest.param(cell, id=str(cell), marks=_marks(cell)) for cell in cells()]
        metafunc.parametrize("tried", params, indirect=True, scope="module")


def _marks(cell: Cell) -> list[pytest.MarkDecorator]:
    # All other tests are run with the newest of everything.
    return [] if str(cell) == "3.9-oldest" else [pytest.mark.thorough]
