"""C and C++, compiled, linked and run by Buildbarn's runner, whose root has no compiler."""

from __future__ import annotations

import re

import pytest

from lab import nix
from lab.bazel import Workspace
from tests.buildbarn.remote import Remote

pytestmark = [pytest.mark.timeout(400), pytest.mark.usefixtures("pod")]


@pytest.mark.thorough
def test_without_a_host_the_compiler_is_missing(cc: Workspace, remote: Remote) -> None:
    nix.empty_store(remote.lab.server)
    failed = remote.build(cc, "//:greet", host="")
    compiler = nix.build(cc.host, ["gcc"])["gcc"]
    assert failed.status != 0
    assert re.search(rf"exec {compiler}/bin/g?cc: no such file or directory", failed.text)


@pytest.mark.thorough
def test_right_after_a_failure_a_program_is_compiled_linked_and_run(
    cc: Workspace, remote: Remote
) -> None:
    nix.empty_store(remote.lab.server)
    assert remote.build(cc, "//:greeted", host="").status != 0
    built = remote.build(cc, "//:greeted").check()
    text = cc.host.read(f"{cc.folder}/bazel-bin/greeted.txt")
    assert text == "Hello, executor with GCC 12\n"
    assert " local" not in built.stderr.split("processes: ")[1].splitlines()[0]
