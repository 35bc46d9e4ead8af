"""The hello examples: remote builds that need the store paths of a package.

The lab replaces only their package set: it cannot download nixpkgs. They use the
Python that nix_remote sets up.
"""

from __future__ import annotations

from typing import Iterator

import pytest

from lab import nix
from lab.bazel import Workspace
from lab.commands import Outcome
from lab.host import Host
from lab.lab import ALIAS, Lab
from tests.bazel import examples, store_paths
from tests.bazel.modes import skip_unless_possible
from tests.bazel.project import Mode

pytestmark = pytest.mark.timeout(180)


@pytest.fixture(scope="module", params=["hello_bzlmod", "hello_workspace"])
def example(request: pytest.FixtureRequest, workstation: Host) -> Iterator[Workspace]:
    mode = Mode.WORKSPACE if request.param == "hello_workspace" else Mode.BZLMOD
    skip_unless_possible(mode, workstation)
    with examples.workspace(workstation, request.param, defaults=mode.defaults) as workspace:
        yield workspace


def _build(example: Workspace, *, host: str) -> Outcome:
    return examples.remotely(example, "build", "//:greeting", host=host)


def test_without_a_host_the_executor_lacks_the_store_path(example: Workspace, lab: Lab) -> None:
    nix.empty_store(lab.server)
    failed = _build(example, host="")
    shell = nix.build(lab.workstation, ["bash"])["bash"]
    assert failed.status != 0
    assert f"{shell}/bin/bash: No such file or directory" in failed.stderr
    # A new workspace: these are all repositories that were ever fetched in it.
    assert "hello" in example.repositories()
    assert "nix_remote_python" not in example.repositories()


def test_with_a_host_the_action_runs_on_the_executor(example: Workspace, lab: Lab) -> None:
    nix.empty_store(lab.server)
    built = _build(example, host=ALIAS).check()
    assert "1 remote" in built.stderr
    assert example.host.read(f"{example.folder}/bazel-bin/greeting.txt") == "Hello, world!\n"
    hello = nix.build(lab.workstation, ["hello"])["hello"]
    nix.verify(lab.server, nix.closure(lab.workstation, hello))


def test_what_was_copied_outlives_a_garbage_collection(example: Workspace, lab: Lab) -> None:
    _build(example, host=ALIAS).check()
    nix.collect_garbage(lab.server)
    example.bazel("clean").check()
    assert "1 remote" in _build(example, host=ALIAS).check().stderr


def test_every_store_path_that_the_build_names_was_copied(example: Workspace, lab: Lab) -> None:
    _build(example, host=ALIAS).check()
    named = store_paths.assert_all_copied(example, lab.server, host=ALIAS)
    assert nix.build(lab.workstation, ["bash"])["bash"] in named


def test_a_second_build_does_not_log_in_to_the_server(example: Workspace, lab: Lab) -> None:
    _build(example, host=ALIAS).check()
    before = lab.ssh_server.logins()
    example.shut_down()
    _build(example, host=ALIAS).check()
    assert lab.ssh_server.logins() == before
