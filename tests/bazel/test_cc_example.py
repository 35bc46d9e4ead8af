"""C and C++, compiled, linked and run on an executor whose only compiler is in the store.

Only the package set of the example is replaced: the lab cannot download nixpkgs.
"""

from __future__ import annotations

import re
from typing import Iterator

import pytest

from lab import bazel, nix, remote_execution
from lab.bazel import Workspace
from lab.commands import Outcome
from lab.host import Host
from lab.lab import ALIAS, Lab
from tests.bazel import examples, store_paths

pytestmark = pytest.mark.timeout(300)

# Where Bazel's own scripts find a shell. An empty property is one less than the parent's.
_POOL = "debian"
_PLATFORM = f"""\
platform(
    name = "with_debian",
    exec_properties = {{"OSFamily": "", "pool": "{_POOL}"}},
    parents = ["//platforms:executor"],
)
"""

_WITH_DEBIAN = (
    "--extra_execution_platforms=//debian:with_debian",
    "--host_platform=//debian:with_debian",
)


@pytest.fixture(scope="module")
def example(workstation: Host) -> Iterator[Workspace]:
    nix.build(workstation, ["gcc"])
    files = {
        "debian/BUILD.bazel": _PLATFORM,
        "user.bazelrc": bazel.toolchain_modules("cc"),
        **examples.TOOLCHAIN_PACKAGE_SET,
    }
    with examples.workspace(workstation, "cc", files) as workspace:
        yield workspace


@pytest.fixture(scope="module")
def worker_with_debian(lab: Lab) -> Iterator[None]:
    remote_execution.start_worker_with_debian(lab.executor, lab.service, _POOL)
    yield
    remote_execution.stop_worker_of_pool(lab.executor, _POOL)


def _bazel(example: Workspace, command: str, *words: str, host: str = ALIAS) -> Outcome:
    return examples.remotely(example, command, *words, host=host, timeout=240)


def test_without_a_host_the_executor_has_no_compiler(example: Workspace, lab: Lab) -> None:
    nix.empty_store(lab.server)
    failed = _bazel(example, "build", "//:greet", host="")
    assert failed.status != 0
    assert re.search(r"bin/g?cc: No such file or directory", failed.text)


def test_a_program_is_compiled_linked_and_run_there(example: Workspace, lab: Lab) -> None:
    built = _bazel(example, "build", "//:greeted").check()
    text = example.host.read(f"{example.folder}/bazel-bin/greeted.txt")
    assert text == "Hello, executor with GCC 12\n"
    assert " local" not in built.stderr.split("processes: ")[1].splitlines()[0]


def test_every_store_path_that_the_build_names_was_copied(example: Workspace, lab: Lab) -> None:
    _bazel(example, "build", "//:greeted").check()
    named = store_paths.assert_all_copied(example, lab.server, host=ALIAS)
    assert nix.build(example.host, ["gcc"])["gcc"] in named


@pytest.mark.usefixtures("worker_with_debian")
def test_the_closure_test_runs_on_the_executor(example: Workspace, lab: Lab) -> None:
    tests = ("--test_output=all", "//:closure_test", "//:greeting_test")
    passed = _bazel(example, "test", *_WITH_DEBIAN, *tests).check()
    assert ", 0 missing" in passed.text
    assert "Executed 2 out of 2 tests: 2 tests pass" in passed.text

    gone = nix.build(example.host, ["gcc"])["gcc"]
    with nix.moved_away(lab.server, gone):
        failed = _bazel(example, "test", *_WITH_DEBIAN, *tests[:2])
    assert failed.status != 0
    assert f"missing: {gone}\n" in failed.text
    assert ", 1 missing" in failed.text
