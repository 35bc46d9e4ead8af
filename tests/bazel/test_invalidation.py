"""Causes of a new fetch, and changes that cause none: a test for each row of the table.

The table is in docs/bazel.md. Other rows are in test_copying: the same build again, and
the variable set, changed and unset in the shell. Each test counts the runs of the copier, and
checks that actions use the paths that were copied.
"""

from __future__ import annotations

import uuid
from dataclasses import replace
from typing import Callable, Iterator

import pytest

from lab import nix
from lab.bazel import apparent_name
from lab.commands import Outcome
from lab.lab import ALIAS, ROOT_ALIAS, Lab
from tests.bazel import archived
from tests.bazel.project import Mode, Package, Project, new_package

pytestmark = pytest.mark.timeout(300)


class Counted:
    """A package that a target of the project uses, and how often it was copied."""

    def __init__(self, project: Project, package: Package) -> None:
        self.project = project
        self.package = package
        self._seen = 0

    def build(self, *options: str, host: str = ALIAS) -> int:
        """Builds the target; returns how many copies that took."""
        self.bazel("build", *options, "//:use", host=host).check()
        return self.copies()

    def bazel(self, *words: str, host: str = ALIAS) -> Outcome:
        return self.project.bazel(*words, host=host)

    def copies(self) -> int:
        """How many copies there were since the last count."""
        all_of_them = [
            copy
            for copy in self.project.python.copies()
            if copy.option("package") == self.package.name
        ]
        new = len(all_of_them) - self._seen
        self._seen = len(all_of_them)
        return new

    def used(self) -> str:
        """What the target read in the package."""
        workspace = self.project.workspace
        return workspace.host.read(f"{workspace.folder}/bazel-bin/used.txt").strip()

    def last_copied(self) -> set[str]:
        return self.project.python.copies()[-1].store_paths


def _use(package: Package) -> dict[str, str]:
    rule = 'genrule(name = "use", outs = ["used.txt"], cmd = "cat $< > $@", srcs = ["{}"])\n'
    return {"BUILD.bazel": rule.format(f"@{package.name}//:text")}


_EXPORTS = 'exports_files(["text"])'


@pytest.fixture
def counted(project: Project) -> Counted:
    """One that has been built, and copied once."""
    package = new_package(build_file_content=_EXPORTS)
    project.declare(package)
    project.workspace.write(_use(package))
    counted = Counted(project, package)
    assert counted.build() == 1
    return counted


def test_repo_env_wins_over_the_shell(counted: Counted) -> None:
    option = f"--repo_env=BAZEL_NIX_REMOTE={ROOT_ALIAS}"
    assert counted.build(option) == 1
    assert counted.project.python.copies()[-1].option("host") == ROOT_ALIAS


def test_an_empty_repo_env_turns_copying_off(counted: Counted) -> None:
    assert counted.build("--repo_env=BAZEL_NIX_REMOTE=") == 0
    assert counted.build() == 1


def test_another_repo_env_copies_nothing(counted: Counted) -> None:
    assert counted.build("--repo_env=SOMETHING=else") == 0


@pytest.mark.thorough
def test_action_env_counts_as_well(counted: Counted) -> None:
    # In Bazel 7 and 8, not in 9. It wins over the shell.
    assert counted.build(f"--action_env=BAZEL_NIX_REMOTE={ROOT_ALIAS}") == 1


@pytest.mark.thorough
def test_a_forced_fetch_of_the_target_copies_again(counted: Counted) -> None:
    counted.bazel("fetch", "--force", "//:use").check()
    assert counted.copies() == 1


@pytest.mark.thorough
def test_a_forced_fetch_of_what_is_configured_copies_again(counted: Counted) -> None:
    bzlmod = counted.project.mode is Mode.BZLMOD
    words = ["fetch", "--force", "--configure"] if bzlmod else ["sync", "--configure"]
    counted.bazel(*words).check()
    assert counted.copies() == 1


def test_a_forced_fetch_of_the_package_copies_again(counted: Counted) -> None:
    name = counted.package.name
    bzlmod = counted.project.mode is Mode.BZLMOD
    words = ["fetch", "--force", f"--repo=@{name}"] if bzlmod else ["sync", f"--only={name}"]
    counted.bazel(*words).check()
    assert counted.copies() == 1


def test_an_edited_nixpkgs_is_followed(counted: Counted, lab: Lab) -> None:
    before = counted.used()
    edited = replace(
        counted.package, expression=counted.package.expression.replace("this is", "this is now")
    )
    counted.project.declare(edited)
    counted.project.workspace.write(_use(edited))
    assert counted.build() == 1
    assert counted.used() == before.replace("this is", "this is now")
    assert counted.last_copied() == counted.project.store_paths(edited)


def _bump(
    counted: Counted, lab: Lab, text: str, declare: Callable[[Project, str, dict[str, str]], None]
) -> str:
    """Declares an archive with other content; returns the path that was copied for it."""
    name = counted.package.name
    declare(counted.project, name, archived.new_archive(counted.project, f"{text} {name}"))
    counted.project.workspace.write(_use(counted.package))
    assert counted.build() == 1
    assert counted.used() == f"{text} {name}"
    (path,) = counted.last_copied()
    assert nix.is_valid(lab.server, path)
    return path


def test_a_bumped_nixpkgs_is_followed(project: Project, lab: Lab) -> None:
    counted = Counted(project, new_package())
    for text in ("first", "second"):
        path = _bump(counted, lab, text, archived.declare)
        assert project.workspace.host.read(f"{path}/text").strip() == counted.used()


@pytest.mark.thorough
@pytest.mark.parametrize("project", [Mode.WORKSPACE], indirect=True, ids=["workspace"])
def test_another_revision_of_nixpkgs_is_followed(project: Project, lab: Lab) -> None:
    counted = Counted(project, new_package())
    for text in ("first", "second"):
        _bump(counted, lab, text, archived.declare_revision)


@pytest.mark.thorough
def test_a_restarted_server_copies_nothing(counted: Counted) -> None:
    counted.bazel("shutdown").check()
    assert counted.build() == 0


@pytest.mark.thorough
def test_an_expunged_output_base_copies_again(counted: Counted) -> None:
    counted.bazel("clean", "--expunge").check()
    assert counted.build() == 1


@pytest.fixture
def second_output_base(counted: Counted) -> Iterator[str]:
    folder = f"/root/output-base-{uuid.uuid4().hex[:8]}"
    option = f"--output_base={folder}"
    yield option
    counted.bazel(option, "shutdown").check()


@pytest.mark.thorough
def test_another_output_base_copies_for_itself(counted: Counted, second_output_base: str) -> None:
    counted.bazel(second_output_base, "build", "//:use").check()
    assert counted.copies() == 1
    assert counted.build() == 0


@pytest.mark.thorough
def test_another_workspace_copies_for_itself(counted: Counted) -> None:
    project = counted.project
    other = replace(project.workspace, folder=f"{project.workspace.folder}-{uuid.uuid4().hex[:8]}")
    project.workspace.host.sh(f"cp -r {project.workspace.folder} {other.folder}")
    twin = replace(project, workspace=other)
    try:
        twin.bazel("build", "//:use", host=ALIAS).check()
    finally:
        other.shut_down()
    assert counted.copies() == 1
    assert project.python.copies()[-1].option("workspace") == other.folder


@pytest.mark.thorough
def test_packages_are_not_vendored(counted: Counted) -> None:
    # Links into a store that another machine does not have.
    if counted.project.mode is Mode.WORKSPACE:
        refused = counted.bazel("vendor", "--vendor_dir=vendored", "//:use")
        assert refused.status != 0
        return
    counted.bazel("vendor", "--vendor_dir=vendored", "//:use").check()
    folder = counted.project.workspace.folder
    vendored = counted.project.workspace.host.sh(f"ls {folder}/vendored").split()
    assert [name for name in vendored if apparent_name(name) == counted.package.name] == []
