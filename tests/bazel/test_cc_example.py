"""C and C++, compiled, linked and run on an executor that has no compiler but the store's.

The example as it is, but for its package set: the lab cannot download nixpkgs.
"""

from __future__ import annotations

import re
from typing import Iterator

import pytest

from lab import bazel, images, nix, remote_execution
from lab import lab as laboratory
from lab.bazel import Workspace
from lab.commands import Outcome
from lab.host import Host
from lab.lab import Lab
from tests.bazel import store_paths

pytestmark = pytest.mark.timeout(300)

# For the Nix expressions of the real rules_nixpkgs as well.
NIXPKGS = f"""\
{{ config ? {{ }}, overlays ? [ ], ... }}:
import {nix.PACKAGE_SET} {{
  overlays = [
    (self: super: {{
      runCommand = super.runCommandInStdenv;
      writers.makeScriptWriter = {{ interpreter }}: name: text:
        self.writeTextFile {{ inherit name; text = "#! ${{interpreter}}\n${{text}}"; }};
    }})
  ];
}}
"""

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
    workspace = bazel.new_workspace(workstation, images.REPOSITORY / "examples" / "cc")
    workspace.write(
        {
            "debian/BUILD.bazel": _PLATFORM,
            "nixpkgs.nix": NIXPKGS,
            "user.bazelrc": bazel.toolchain_modules("cc"),
        }
    )
    yield workspace
    workspace.shut_down()


@pytest.fixture(scope="module")
def worker_with_debian(lab: Lab) -> Iterator[None]:
    remote_execution.start_worker_with_debian(lab.executor, lab.service, _POOL)
    yield
    remote_execution.stop_worker_of_pool(lab.executor, _POOL)


def _bazel(example: Workspace, *words: str, host: str = laboratory.ALIAS) -> Outcome:
    command, *rest = words
    options = ["--config=remote", "--noremote_accept_cached"]
    return example.bazel(command, *options, *rest, env={"BAZEL_NIX_REMOTE": host}, timeout=240)


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
    named = store_paths.named_by_actions(example, "--config=remote", host=laboratory.ALIAS)
    named |= store_paths.named_by_files(example)
    compiler = nix.build(example.host, ["gcc"])["gcc"]
    assert compiler in named
    assert named - store_paths.copied(example, lab.server) == set()


@pytest.mark.usefixtures("worker_with_debian")
def test_the_closure_test_runs_on_the_executor(example: Workspace, lab: Lab) -> None:
    tests = ("--test_output=all", "//:closure_test", "//:greeting_test")
    passed = _bazel(example, "test", *_WITH_DEBIAN, *tests).check()
    assert ", 0 missing" in passed.text
    assert "Executed 2 out of 2 tests: 2 tests pass" in passed.text

    gone = nix.build(example.host, ["gcc"])["gcc"]
    lab.server.sh(f"mv {gone} /nix/store/away")
    try:
        failed = _bazel(example, "test", *_WITH_DEBIAN, *tests[:2])
    finally:
        lab.server.sh(f"mv /nix/store/away {gone}")
    assert failed.status != 0
    assert f"missing: {gone}\n" in failed.text
    assert ", 1 missing" in failed.text
