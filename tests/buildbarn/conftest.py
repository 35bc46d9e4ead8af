"""Buildbarn in the run's lab, a pod with the store, and workspaces to build."""

from __future__ import annotations

from pathlib import Path
from typing import Iterator, Optional

import pytest

from tests.bazel.test_cc_example import NIXPKGS
from tests.buildbarn.remote import Remote
from tests.lab import bazel, buildbarn, images, nix
from tests.lab.bazel import Workspace
from tests.lab.host import wait_until
from tests.lab.lab import Lab
from tests.lab.other_bazel import OtherBazel


@pytest.fixture(scope="session")
def remote(lab: Lab, rules_nixpkgs: Path, other_bazel: Optional[OtherBazel]) -> Remote:
    """The lab with Buildbarn, and a workstation with Bazel ready."""
    service = lab.start_host("buildbarn", images.CURRENT, buildbarn.binds())
    buildbarn.start_service(service)
    bazel.prepare(lab.workstation, lab.service, rules_nixpkgs, other_bazel)
    return Remote(lab, service)


@pytest.fixture(scope="session")
def pod(remote: Remote) -> buildbarn.Pod:
    """A pod that takes actions; its store is the lab's Nix server's, by a bind mount."""
    host = remote.start_node("node")
    remote.mount_store(host)
    pod = remote.start_pod(host, {"OSFamily": "linux"})
    wait_until(pod.takes_actions, "the pod to take actions")
    return pod


@pytest.fixture(scope="session")
def greeting(remote: Remote) -> Iterator[Workspace]:
    """The smallest example, whose package set the lab replaces."""
    folder = images.REPOSITORY / "examples" / "hello_bzlmod"
    workspace = bazel.new_workspace(remote.lab.workstation, folder)
    workspace.write({"nixpkgs.nix": f"import {nix.PACKAGE_SET}\n"})
    yield workspace
    workspace.shut_down()


@pytest.fixture(scope="session")
def cc(remote: Remote) -> Iterator[Workspace]:
    """The example with a compiler, whose package set the lab replaces."""
    workstation = remote.lab.workstation
    nix.build(workstation, ["gcc"])
    workspace = bazel.new_workspace(workstation, images.REPOSITORY / "examples" / "cc")
    workspace.write(
        {
            "nixpkgs.nix": NIXPKGS,
            "user.bazelrc": bazel.toolchain_modules("cc"),
        }
    )
    yield workspace
    workspace.shut_down()
