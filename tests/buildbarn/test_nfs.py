"""A runner whose store is a kernel's NFS mount, with the options of the overlay's volume."""

from __future__ import annotations

import re
from typing import Final

import pytest

from nix_remote.setup import nfs as chosen
from tests.buildbarn.remote import NOT_READY, Remote
from tests.lab import buildbarn, nix
from tests.lab.bazel import Workspace
from tests.lab.host import wait_until
from tests.nfs import site as sites

# Other pods must not take these actions.
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


@pytest.mark.timeout(500)
def test_a_build_right_after_a_failed_one_succeeds(cc: Workspace, remote: Remote) -> None:
    cc.write({"nfs/BUILD.bazel": _PLATFORM})
    site = sites.start(remote.lab, buildbarn.binds(remote.programs))
    site.server.sh("mkdir -p /nix/store/.links")
    pod = remote.start_pod(site.executor, {"OSFamily": "linux", "pool": "nfs"})
    wait_until(lambda: NOT_READY in site.executor.log("worker"), "the worker to miss the store")
    assert not pod.takes_actions()

    site.mount(chosen.mount_options())
    wait_until(pod.takes_actions, "the pod to take actions")
    failed = remote.build(cc, *_ON_IT, "//:greeted", host="")
    compiler = nix.build(cc.host, ["gcc"])["gcc"]
    assert failed.status != 0
    assert re.search(rf"exec {compiler}/bin/g?cc: no such file or directory", failed.text)
    built = remote.build(cc, *_ON_IT, "//:greeted", host=site.server.name).check()
    text = cc.host.read(f"{cc.folder}/bazel-bin/greeted.txt")
    assert text == "Hello, executor with GCC 12\n"
    assert " local" not in built.stderr.split("processes: ")[1].splitlines()[0]
