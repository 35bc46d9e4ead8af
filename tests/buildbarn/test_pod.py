"""What an action sees in a runner's root, and when a runner takes actions."""

from __future__ import annotations

import pytest

from tests.buildbarn.remote import NOT_READY, Remote
from tests.lab import buildbarn
from tests.lab.bazel import Workspace
from tests.lab.host import wait_until

pytestmark = pytest.mark.timeout(400)

# Written in the shell alone: it is all that there is.
_LOOK = """
genrule(
    name = "seen",
    outs = ["seen.txt"],
    cmd = "echo /* /nix/* > $@; if ( : > /nix/store/.new ); then echo writable >> $@; fi",
    tools = ["@bash//:bin"],
)
"""


def test_an_action_sees_the_store_to_read_and_no_machine(
    greeting: Workspace, remote: Remote, pod: buildbarn.Pod
) -> None:
    greeting.write({"look/BUILD.bazel": _LOOK})
    remote.build(greeting, "//look:seen").check()
    seen = greeting.host.read(f"{greeting.folder}/bazel-bin/look/seen.txt").split()
    beside = {"/bb", "/config", "/nix-remote", "/worker"}
    assert set(seen) == {"/nix", "/nix/store", "/dev", "/proc", "/tmp"} | beside


def test_a_runner_takes_no_action_before_the_store_is_mounted(
    greeting: Workspace, remote: Remote
) -> None:
    node = remote.start_node("late-node")
    pod = remote.start_pod(node, {"OSFamily": "linux", "pool": "late"})
    words = ("--remote_default_exec_properties=pool=late", "//:greeting")
    wait_until(lambda: NOT_READY in node.log("worker"), "the worker to say what is missing")
    refused = remote.build(greeting, *words)
    assert refused.status != 0
    assert "No workers exist for instance name prefix" in refused.text
    assert not pod.takes_actions()

    remote.mount_store(node)
    wait_until(pod.takes_actions, "the pod to take actions")
    assert "1 remote" in remote.build(greeting, *words).check().stderr
