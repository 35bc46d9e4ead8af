"""Without a host, nix_remote has no effect: builds are those of plain rules_nixpkgs."""

from __future__ import annotations

import json
import re
from typing import Optional

import pytest

from lab.bazel import apparent_name
from lab.lab import ALIAS
from tests.bazel import archived
from tests.bazel.project import Package, Project, Rules, new_package

pytestmark = pytest.mark.timeout(180)


def _action(project: Project, package: Package) -> str:
    """The actions of a target that uses the package, by `aquery`."""
    project.workspace.write(
        {
            "BUILD.bazel": 'genrule(name = "use", outs = ["output"],'
            f' cmd = "$(execpath @{package.name}//:bin) > $@",'
            f' tools = ["@{package.name}//:bin"])'
        }
    )
    shown = project.bazel("aquery", "//:use", host=None).check().stdout
    # The one difference: which module the package's repository belongs to. The
    # action's key is a digest that includes it.
    lines = [line for line in shown.splitlines() if "ActionKey" not in line]
    return re.sub("nix_remote([~+])", r"rules_nixpkgs_core\1", "\n".join(lines))


def _content(project: Project, name: str) -> str:
    """The content of a repository: names, types, link targets, digests."""
    folder = project.workspace.repositories()[name]
    seen = project.workspace.host.sh(
        f"cd {folder}; find . -printf '%P %y %m %l\\n' | sort; find . -type f | sort | xargs md5sum"
    )
    # Links of a repository to itself say which module it belongs to.
    return seen.replace(f"{folder}/", "")


def test_repositories_and_actions_are_those_of_rules_nixpkgs(project: Project) -> None:
    package = new_package()
    seen = {}
    for rules in Rules:
        project.declare(package, rules=rules)
        seen[rules] = (_action(project, package), _content(project, package.name))
    assert package.name in seen[Rules.NIX_REMOTE][0]
    assert seen[Rules.NIX_REMOTE] == seen[Rules.RULES_NIXPKGS]


def test_a_nix_repository_that_is_downloaded_is_that_of_rules_nixpkgs(project: Project) -> None:
    package = new_package()
    archive = archived.new_archive(project, package.name)
    archived.declare(project, package.name, archive)
    project.fetch(package).check()
    # What is there more with a host, and by which packages notice another revision.
    assert "nix-remote-source" in _content(project, archived.NAME)
    seen = {}
    for rules in Rules:
        archived.declare(project, package.name, archive, rules)
        project.fetch(package, host=None).check()
        seen[rules] = _content(project, archived.NAME)
    assert "packages.nix" in seen[Rules.NIX_REMOTE]
    assert seen[Rules.NIX_REMOTE] == seen[Rules.RULES_NIXPKGS]


@pytest.mark.parametrize("host", [None, ""])
def test_no_process_of_nix_remote_is_started(project: Project, host: Optional[str]) -> None:
    package = new_package()
    project.declare(package)
    # Every way to run the copier goes through this.
    broken = "/nonexistent/python"
    fetched = project.fetch(package, host=host, env={"NIX_REMOTE_PYTHON": broken}).check()
    assert "nix-remote" not in fetched.stderr
    assert "nix_remote" not in fetched.stderr


def test_what_was_not_copied_can_be_listed(project: Project) -> None:
    copied, not_copied = new_package(), new_package()
    project.declare(copied, not_copied)
    project.fetch(copied).check()
    project.fetch(not_copied, host=None).check()
    words = ("--json", f"--host={ALIAS}", f"--workspace={project.workspace.folder}")
    command = ["nix-remote", "ensure", *words]
    told = json.loads(project.workspace.host.run(command, timeout=120).check().stdout)
    names = set(map(apparent_name, told["data"]["not_copied"]))
    assert not_copied.name in names
    assert copied.name not in names
