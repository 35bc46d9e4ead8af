"""Every command of docs/getting-started.md, in order.

The lab's machines have the guide's names. The test supplies the fingerprint that the reader has to
look up, and the address of the lab's Remote Execution service.
"""

from __future__ import annotations

import re
from typing import Iterator

import pytest

from lab import bazel, images, nix, remote_execution
from lab.host import Host
from lab.kernels import Kernel
from lab.lab import Lab
from tests.nfs.guide import blocks
from tests.nfs.site import Site

pytestmark = pytest.mark.timeout(400)

HOME = "/root/newcomer"
SERVICE = "build.example.org:8980"
_FROM_THE_GUIDE = r"--remote_(executor|default_exec_properties|timeout)="


@pytest.fixture
def newcomers(lab: Lab, rules_nixpkgs: object) -> Iterator[Site]:
    """Machines before the guide: with names, root's key, Debian's packages, and nothing else.

    The server's kernel is newer than the executor's.
    """
    server = lab.start_system_server("guide-server", kernel=Kernel.V7_2)
    executor = lab.start_kernel_executor("guide-executor", kernel=Kernel.V6_1)
    site = Site(lab, lab.workstation, server, executor)
    workstation = site.workstation
    before = workstation.read("/etc/hosts")
    names = f"{server.address} nix.example.org\n{executor.address} executor.example.org\n"
    workstation.write("/etc/hosts", before + names)
    executor.write("/etc/hosts", executor.read("/etc/hosts") + names)
    key = executor.read("/etc/ssh/lab_host_key.pub").split()
    known = f"executor.example.org {key[0]} {key[1]}\n"
    workstation.sh("rm -rf /root/ssh-before; cp -a /root/.ssh /root/ssh-before")
    workstation.write("/root/.ssh/config", "", mode="600")
    workstation.write("/root/.ssh/known_hosts", known, mode="600")
    bazel.prepare(workstation, site.lab.service, rules_nixpkgs)  # type: ignore[arg-type]
    # What the lab says of its service: here the generated file has to say it.
    rc = workstation.read("/root/.bazelrc")
    kept = [line for line in rc.splitlines() if not re.search(_FROM_THE_GUIDE, line)]
    workstation.write("/root/.bazelrc", "\n".join(kept) + "\n")
    workstation.put(images.REPOSITORY / "examples", f"{HOME}/examples")
    # The lab cannot download nixpkgs.
    for example in ("hello_bzlmod", "hello_workspace"):
        file = f"{HOME}/examples/{example}/nixpkgs.nix"
        workstation.write(file, f"import {nix.PACKAGE_SET}\n")
    # The module is that of the lab's repository, wherever the example lies.
    site.lab.executor.stop_service("worker")
    yield site
    executor.stop_service("worker")
    remote_execution.start_worker(site.lab.executor, site.lab.service)
    workstation.sh(f"cd {HOME}/examples/hello_bzlmod && bazel shutdown")
    workstation.sh("rm -rf /root/.ssh; mv /root/ssh-before /root/.ssh")
    workstation.write("/etc/hosts", before)
    workstation.write("/root/.bazelrc", rc)
    site.unmount()
    executor.stop()
    server.stop()


def run(host: Host, script: str) -> str:
    """Runs a block as if typed; every command must succeed."""
    done = host.run(["bash", "-euc", f"mkdir -p {HOME}; cd {HOME}; {script}"], timeout=300)
    return done.check().text


def test_every_command_of_the_guide_works(newcomers: Site, lab: Lab) -> None:
    site = newcomers
    machines = {"workstation": site.workstation, "nix.example.org": site.server}
    fingerprint = site.server.sh("ssh-keygen -lf /etc/ssh/lab_host_key.pub").split()[1]
    service = f"{lab.service.address}:{remote_execution.PORT}"
    steps = blocks("getting-started.md", {"SHA256:…": fingerprint, SERVICE: service})
    assert len(steps) == 8
    said = []
    for step in steps:
        if "bazel build" in step.script:
            # The machine takes actions now, as its own Remote Execution service makes it.
            remote_execution.start_worker(site.executor, lab.service)
        said.append(run(machines[step.where], step.script))

    assert fingerprint in said[0]
    doctor, on_executor, built = said[-3:]
    for looked in (doctor, on_executor):
        assert "✓" in looked
        assert "✗" not in looked
        warnings = [line for line in looked.splitlines() if line.startswith("!")]
        # Those come and go with the lab's Nix.
        assert [line for line in warnings if "advisories" not in line] == []
    assert "Hello, world!" in built
    assert "1 remote" in built
    assert "Runner exited with code" in site.executor.log("worker")
