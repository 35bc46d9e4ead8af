"""`nix_remote_closure_test` finds the closures, whatever actions see of the local machine.

The C example (`test_cc_example.py`) shows that it checks the executor.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Iterator, Optional

import pytest

from lab import nix, remote_execution
from lab.commands import Outcome
from lab.lab import ALIAS, Lab
from tests.bazel.modes import ONE_OF_MODES
from tests.bazel.project import Package, Project, new_package

pytestmark = [pytest.mark.timeout(300), ONE_OF_MODES]

_BUILD: Final = """\
load("@nix_remote//bzl:testing.bzl", "nix_remote_closure_test")

filegroup(name = "of_this_repository", srcs = ["@{name}//:bin"])

nix_remote_closure_test(name = "closure", packages = ["@{name}//:bin", "@{name}//:lib"])

nix_remote_closure_test(name = "asked", ask_nix = True, packages = ["@{name}//:bin"])

nix_remote_closure_test(name = "both", packages = ["@{name}//:bin", ":of_this_repository"])
"""

_POOL: Final = "closure"

# A PATH without Nix, and one with a user's Nix.
_WITHOUT_NIX: Final = "/root/without-nix"
_OF_USER: Final = "/root/nix-of-user"
_ASKED: Final = "/root/nix-was-asked"
_NIX_STORE: Final = f'#!/bin/sh\necho "$@" >>{_ASKED}\nexec /usr/bin/nix-store "$@"\n'


@dataclass(frozen=True)
class Closure:
    """A package with its tests, and the paths of its closure."""

    project: Project
    package: Package
    paths: list[str]

    def test(
        self,
        name: str,
        *options: str,
        host: Optional[str] = ALIAS,
        path: str = "/usr/bin",
    ) -> Outcome:
        """Runs a test. `path` is the `PATH` that Bazel is started with."""
        words = ["test", "--test_output=all", *options, f"//:{name}"]
        return self.project.bazel(*words, host=host, env={"PATH": f"/usr/local/bin:{path}"})

    @property
    def complete(self) -> str:
        return f"{len(self.paths)} store paths looked for, 0 missing"

    def asked(self) -> str:
        """The commands that the user's `nix-store` got since the last call."""
        host = self.project.workspace.host
        return host.sh(f"cat {_ASKED}; : >{_ASKED}")


@pytest.fixture(scope="module")
def closure(project: Project) -> Closure:
    host = project.workspace.host
    host.sh(
        f"""
        rm -rf {_WITHOUT_NIX} {_OF_USER}
        mkdir -p {_WITHOUT_NIX} {_OF_USER}
        ln -s /usr/bin/* {_WITHOUT_NIX}; rm {_WITHOUT_NIX}/nix*
        ln -s /usr/bin/nix* {_OF_USER}; rm {_OF_USER}/nix-store
        """
    )
    host.write(f"{_OF_USER}/nix-store", _NIX_STORE, mode="755")
    host.write(_ASKED, "")
    package = new_package()
    project.declare(package)
    project.workspace.write({"BUILD.bazel": _BUILD.format(name=package.name)})
    (path,) = project.store_paths(package)
    return Closure(project, package, nix.closure(host, path))


@pytest.fixture(scope="module")
def remote_only(lab: Lab) -> Iterator[tuple[str, ...]]:
    """Options for actions that may run nowhere but on an executor."""
    remote_execution.start_worker_with_debian(lab.executor, lab.service, _POOL)
    yield (
        f"--remote_executor=grpc://{lab.service.name}:{remote_execution.PORT}",
        f"--remote_default_exec_properties=pool={_POOL}",
        "--spawn_strategy=remote",
    )
    remote_execution.stop_worker_of_pool(lab.executor, _POOL)


def test_remote_actions_suffice_where_neither_machine_has_nix(
    closure: Closure, lab: Lab, remote_only: tuple[str, ...]
) -> None:
    # The fetch needs Nix, the test does not.
    closure.project.fetch(closure.package).check()
    passed = closure.test("closure", *remote_only, path=_WITHOUT_NIX).check()
    assert closure.complete in passed.text

    # A path that is not the package's own.
    gone = nix.build(lab.workstation, ["bash"])["bash"]
    with nix.moved_away(lab.server, gone):
        failed = closure.test("closure", *remote_only, path=_WITHOUT_NIX)
    assert failed.status != 0
    assert f"missing: {gone}\n" in failed.text
    assert ", 1 missing" in failed.text


def test_sandboxed_actions_suffice(closure: Closure) -> None:
    closure.project.fetch(closure.package).check()
    options = ("--spawn_strategy=sandboxed", "--incompatible_strict_action_env")
    passed = closure.test("closure", *options, path=_WITHOUT_NIX).check()
    assert closure.complete in passed.text


def test_without_a_host_the_nix_that_fetches_find_is_asked(closure: Closure) -> None:
    path = f"{_OF_USER}:{_WITHOUT_NIX}"
    options = ("--incompatible_strict_action_env",)
    passed = closure.test("closure", *options, host=None, path=path).check()
    assert closure.complete in passed.text
    assert "--query --requisites /nix/store/" in closure.asked()

    closure.test("asked", *options, path=path).check()
    assert "--query --requisites /nix/store/" in closure.asked()

    failed = closure.test("asked", path=_WITHOUT_NIX)
    assert failed.status != 0
    assert "Bazel's fetches find no nix-store on PATH" in failed.text


def test_what_is_known_and_what_is_asked_is_counted_once(closure: Closure) -> None:
    passed = closure.test("both", path=f"{_OF_USER}:{_WITHOUT_NIX}").check()
    assert closure.complete in passed.text
    assert "--query --requisites /nix/store/" in closure.asked()
