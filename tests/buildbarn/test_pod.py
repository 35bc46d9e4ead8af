"""The files that an action sees in a runner's root, and when a runner takes actions."""

from __future__ import annotations

import pytest

from lab import nix
from lab.host import wait_until
from lab.lab import ALIAS
from tests.buildbarn.conftest import Observe
from tests.buildbarn.remote import NOT_READY, Remote

pytestmark = pytest.mark.timeout(400)

LINUX = {"OSFamily": "linux"}

# Written in the shell alone: it is all that there is.
_LOOK = "echo /* /nix/* > seen; if ( : > /nix/store/.new ); then echo writable >> seen; fi"


@pytest.fixture
def shell(remote: Remote) -> str:
    """A shell that the Nix server's store has."""
    bash = nix.build(remote.lab.workstation, ["bash"])["bash"]
    remote.lab.workstation.run(["nix-remote", "copy", "--host", ALIAS, bash]).check()
    return f"{bash}/bin/bash"


@pytest.mark.usefixtures("pod")
def test_an_action_sees_the_store_to_read_and_no_machine(
    remote: Remote, shell: str, observe: Observe
) -> None:
    observe("the overlay")
    ended = remote.act([shell, "-c", _LOOK], LINUX, outputs=["seen"])
    ended.outcome.check()
    beside = {"/bb", "/config", "/nix-remote", "/worker"}
    seen = set(ended.outputs["seen"].split())
    assert seen == {"/nix", "/nix/store", "/dev", "/proc", "/tmp"} | beside


@pytest.mark.usefixtures("pod")
def test_right_after_a_failure_an_action_runs_a_program_that_was_copied(
    remote: Remote, observe: Observe
) -> None:
    observe("actions of trexe")
    workstation = remote.lab.workstation
    hello = nix.build(workstation, ["hello"])["hello"]
    nix.empty_store(remote.lab.server)
    failed = remote.act([f"{hello}/bin/hello"], LINUX)
    assert failed.outcome.status != 0
    assert "no such file or directory" in failed.outcome.text

    workstation.run(["nix-remote", "copy", "--host", ALIAS, hello]).check()
    assert "Hello, " in remote.act([f"{hello}/bin/hello"], LINUX).outcome.check().stdout


def test_a_runner_takes_no_action_before_the_store_is_mounted(
    remote: Remote, shell: str, observe: Observe
) -> None:
    observe("readiness")
    node = remote.start_node("late-node")
    late = {**LINUX, "pool": "late"}
    pod = remote.start_pod(node, late)
    wait_until(lambda: NOT_READY in node.log("worker"), "the worker to say what is missing")
    words = [shell, "-c", "echo done"]
    refused = remote.act(words, late).outcome
    assert refused.status != 0
    assert "No workers exist for instance name prefix" in refused.text
    assert not pod.takes_actions()

    remote.mount_store(node)
    wait_until(pod.takes_actions, "the pod to take actions")
    assert "done" in remote.act(words, late).outcome.check().stdout
