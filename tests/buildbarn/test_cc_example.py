"""C and C++, compiled, linked and run by Buildbarn's runner, whose root has no compiler."""

from __future__ import annotations

import re
from typing import Iterator

import pytest

from tests.bazel.test_cc_example import NIXPKGS
from tests.buildbarn.remote import Remote
from tests.lab import bazel, images, nix
from tests.lab.bazel import Workspace

pytestmark = [pytest.mark.timeout(400), pytest.mark.usefixtures("pod")]


@pytest.fixture(scope="module")
def example(remote: Remote) -> Iterator[Workspace]:
    """The example as it is, but for its package set: the lab cannot download nixpkgs."""
    workstation = remote.lab.workstation
    nix.build(workstation, ["gcc"])
    workspace = bazel.new_workspace(workstation, images.REPOSITORY / "examples" / "cc")
    workspace.write(
        {
            "nixpkgs.nix": NIXPKGS,
            # Without the second, Debian's Bazel 7 looks for what only WORKSPACE files need.
            "user.bazelrc": bazel.toolchain_modules("cc") + "common --noenable_workspace\n",
        }
    )
    yield workspace
    workspace.shut_down()


def test_without_a_host_the_compiler_is_missing(example: Workspace, remote: Remote) -> None:
    nix.empty_store(remote.lab.server)
    failed = remote.build(example, "//:greet", host="")
    compiler = nix.build(example.host, ["gcc"])["gcc"]
    assert failed.status != 0
    assert re.search(rf"exec {compiler}/bin/g?cc: no such file or directory", failed.text)


def test_right_after_a_failure_a_program_is_compiled_linked_and_run(
    example: Workspace, remote: Remote
) -> None:
    nix.empty_store(remote.lab.server)
    assert remote.build(example, "//:greeted", host="").status != 0
    built = remote.build(example, "//:greeted").check()
    text = example.host.read(f"{example.folder}/bazel-bin/greeted.txt")
    assert text == "Hello, executor with GCC 12\n"
    assert " local" not in built.stderr.split("processes: ")[1].splitlines()[0]
