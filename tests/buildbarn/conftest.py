"""Buildbarn in the run's lab, a pod with the store, and workspaces to build."""

from __future__ import annotations

from pathlib import Path
from typing import Callable, Iterator, Optional

import pytest

from lab import bazel, buildbarn, buildbarn_programs, images, nix
from lab.bazel import Workspace
from lab.host import wait_until
from lab.lab import Lab
from lab.other_bazel import OtherBazel
from tests.bazel import examples
from tests.buildbarn.remote import Remote
from tests.compatibility.recording import Recorder


@pytest.fixture(scope="session")
def remote(lab: Lab, pytestconfig: pytest.Config) -> Remote:
    """The lab with Buildbarn."""
    checkout = pytestconfig.getoption("--buildbarn")
    programs = buildbarn_programs.programs(checkout)
    service = lab.start_host("buildbarn", images.CURRENT, buildbarn.binds(programs))
    buildbarn.start_service(service)
    return Remote(lab, service, programs, buildbarn_programs.release(checkout))


Observe = Callable[[str], None]


@pytest.fixture
def observe(remote: Remote, compatibility: Recorder) -> Observe:
    """Notes what the test shows of this Buildbarn."""
    release = remote.release
    return lambda what: compatibility("Buildbarn", release.date, what, variant=release.commit)


@pytest.fixture(scope="session")
def prepared(remote: Remote, rules_nixpkgs: Path, other_bazel: Optional[OtherBazel]) -> None:
    """Makes Bazel ready on the workstation, if this Buildbarn takes its builds."""
    if other_bazel is None and "so it rejects Bazel 7" in remote.versions():
        pytest.skip(f"this Buildbarn takes no builds of Bazel 7: {remote.versions()}")
    bazel.prepare(remote.lab.workstation, remote.lab.service, rules_nixpkgs, other_bazel)


@pytest.fixture(scope="session")
def pod(remote: Remote) -> buildbarn.Pod:
    """A pod that takes actions; its store is the lab's Nix server's, by a bind mount."""
    host = remote.start_node("node")
    remote.mount_store(host)
    pod = remote.start_pod(host, {"OSFamily": "linux"})
    wait_until(pod.takes_actions, "the pod to take actions")
    return pod


@pytest.fixture(scope="session")
def greeting(remote: Remote, prepared: None) -> Iterator[Workspace]:
    """The smallest example, whose package set the lab replaces."""
    with examples.workspace(remote.lab.workstation, "hello_bzlmod") as workspace:
        yield workspace


@pytest.fixture(scope="session")
def cc(remote: Remote, prepared: None) -> Iterator[Workspace]:
    """The example with a compiler, whose package set the lab replaces."""
    workstation = remote.lab.workstation
    nix.build(workstation, ["gcc"])
    files = {"user.bazelrc": bazel.toolchain_modules("cc"), **examples.TOOLCHAIN_PACKAGE_SET}
    with examples.workspace(workstation, "cc", files) as workspace:
        yield workspace
