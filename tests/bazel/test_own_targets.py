"""The repository as a Bazel workspace: its own tests as targets, without a host and Nix."""

from __future__ import annotations

from typing import Iterator

import pytest

from lab.bazel import Workspace
from lab.commands import Outcome
from lab.host import Host

pytestmark = pytest.mark.timeout(600)

_PATH = "/opt/tests/bin:/usr/bin:/bin"


@pytest.fixture(scope="module")
def repository(workstation: Host) -> Iterator[Workspace]:
    # A copy: the original may change during the test.
    folder = "/root/repository"
    workstation.sh(f"rm -rf {folder}; cp -r /src/nix_remote {folder}")
    workspace = Workspace(workstation, folder)
    yield workspace
    workspace.shut_down()


def _test(repository: Workspace, *targets: str) -> Outcome:
    # An empty folder reverts the override in the lab's rc file.
    options = ["--override_module=nix_remote=", "--noenable_workspace", "--test_output=errors"]
    return repository.bazel("test", *options, *targets, env={"PATH": _PATH}, timeout=540)


def test_starlark_tests_pass(repository: Workspace) -> None:
    done = _test(repository, "//bzl/private/tests/...").check()
    assert "38 tests pass" in done.text


def test_python_tests_pass_through_pytest_bazel(repository: Workspace) -> None:
    done = _test(repository, "//tests/unit:wire_test").check()
    assert "1 test passes" in done.text


@pytest.mark.thorough
def test_a_failing_test_fails_its_target(repository: Workspace) -> None:
    path = "tests/unit/wire/test_base32.py"
    text = repository.host.read(f"{repository.folder}/{path}")
    repository.write({path: f"{text}\n\ndef test_that_fails() -> None:\n    assert False\n"})
    try:
        failed = _test(repository, "//tests/unit:wire_test")
    finally:
        repository.write({path: text})
    assert failed.status != 0
    assert "test_that_fails" in failed.text


@pytest.mark.thorough
def test_everything_passes(repository: Workspace) -> None:
    done = _test(repository, "//...").check()
    assert "tests pass" in done.text
