"""A runner whose store is a kernel's NFS mount, with the options of the overlay's volume."""

from __future__ import annotations

from typing import Final

import pytest

from lab import buildbarn, nix
from lab.bazel import Workspace
from lab.host import Host, wait_until
from nix_remote.setup import nfs as chosen
from tests.buildbarn.conftest import Observe
from tests.buildbarn.remote import NOT_READY, Remote
from tests.nfs import site as sites

pytestmark = pytest.mark.timeout(400)

_EXECUTOR: Final = {"OSFamily": "linux", "pool": "nfs"}
_HERE: Final = "--remote_default_exec_properties=pool=nfs"

# The example's own platform, for no other pod to take these actions.
_PLATFORM: Final = """
platform(
    name = "kernel",
    exec_properties = {"OSFamily": "linux", "pool": "nfs"},
    parents = ["//platforms:executor"],
)
"""
_ON_IT: Final = (
    "--extra_execution_platforms=//nfs:kernel",
    "--host_platform=//nfs:kernel",
    "--platforms=//nfs:kernel",
)


@pytest.fixture(scope="module")
def server(remote: Remote) -> Host:
    """A Nix server whose store is mounted by a pod that had to wait for it."""
    site = sites.start(remote.lab, "buildbarn-nfs", buildbarn.binds(remote.programs))
    site.server.sh("mkdir -p /nix/store/.links")
    pod = remote.start_pod(site.executor, _EXECUTOR)
    wait_until(lambda: NOT_READY in site.executor.log("worker"), "the worker to miss the store")
    assert not pod.takes_actions()
    site.mount(chosen.mount_options())
    wait_until(pod.takes_actions, "the pod to take actions")
    return site.server


def test_right_after_a_failure_an_action_runs_a_program_that_was_copied(
    remote: Remote, server: Host, observe: Observe
) -> None:
    observe("actions over NFS")
    hello = nix.build(remote.lab.workstation, ["hello"])["hello"]
    failed = remote.act([f"{hello}/bin/hello"], _EXECUTOR).outcome
    assert failed.status != 0
    assert "no such file or directory" in failed.text
    remote.lab.workstation.run(["nix-remote", "copy", "--host", server.name, hello]).check()
    assert "Hello, " in remote.act([f"{hello}/bin/hello"], _EXECUTOR).outcome.check().stdout


@pytest.mark.thorough
def test_an_action_runs_a_compiler(remote: Remote, server: Host, observe: Observe) -> None:
    observe("a compiler over NFS")
    workstation = remote.lab.workstation
    gcc = nix.build(workstation, ["gcc"])["gcc"]
    workstation.run(["nix-remote", "copy", "--host", server.name, gcc]).check()
    compile_ = [f"{gcc}/bin/gcc", "main.c", "-o", "main"]
    source = {"main.c": "int main(void) { return 0; }"}
    ended = remote.act(compile_, _EXECUTOR, outputs=["main"], inputs=source)
    ended.outcome.check()
    assert "\x7fELF" in ended.outputs["main"]


@pytest.mark.thorough
def test_a_build_right_after_a_failed_one_succeeds(
    greeting: Workspace, remote: Remote, server: Host
) -> None:
    # What takes time is done before: a mount forgets by itself what was absent.
    remote.build(greeting, _HERE, "--nobuild", "//:greeting").check()
    shell = nix.build(greeting.host, ["bash"])["bash"]
    failed = remote.build(greeting, _HERE, "//:greeting", host="")
    assert failed.status != 0
    assert f"exec {shell}/bin/bash: no such file or directory" in failed.text
    built = remote.build(greeting, _HERE, "//:greeting", host=server.name).check()
    assert "1 remote" in built.stderr


def test_a_program_is_compiled_linked_and_run(
    cc: Workspace, remote: Remote, server: Host, observe: Observe
) -> None:
    observe("builds of Bazel 7 over NFS")
    cc.write({"nfs/BUILD.bazel": _PLATFORM})
    built = remote.build(cc, *_ON_IT, "//:greeted", host=server.name).check()
    text = cc.host.read(f"{cc.folder}/bazel-bin/greeted.txt")
    assert text == "Hello, executor with GCC 12\n"
    assert " local" not in built.stderr.split("processes: ")[1].splitlines()[0]
