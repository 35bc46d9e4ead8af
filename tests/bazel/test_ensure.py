"""`bazel run @nix_remote//:ensure`: it finds and repairs paths that the server has lost."""

from __future__ import annotations

import pytest

from lab import nix
from lab.commands import Outcome
from lab.lab import ALIAS, Lab
from tests.bazel.modes import ONE_OF_MODES
from tests.bazel.project import Package, Project, new_package

pytestmark = [pytest.mark.timeout(180), ONE_OF_MODES]

# The shell that runs the lab's actions: a package like any other.
_BASH = Package("bash", "pkgs.bash")


def _build_remotely(project: Project, package: Package, attempt: str) -> Outcome:
    """Builds, on an executor, a target that uses the package and was not built before."""
    program = f"@{package.name}//:bin"
    rule = (
        f'genrule(name = "use", outs = ["output"], cmd = "$(execpath {program}) > $@ # {attempt}",'
        f' tools = ["{program}", "@bash//:bin"])'
    )
    project.workspace.write({"BUILD.bazel": rule})
    options = ["--config=remote", "--noremote_accept_cached"]
    return project.bazel("build", *options, "//:use", host=ALIAS)


def _ensure(project: Project, *words: str) -> Outcome:
    return project.bazel("run", "@nix_remote//:ensure", *words, host=ALIAS)


def test_a_remote_build_passes_again_after_the_server_has_lost_its_paths(
    project: Project, lab: Lab
) -> None:
    package = new_package()
    project.declare(package, _BASH)
    (path,) = project.store_paths(package)
    _build_remotely(project, package, "first").check()
    # `ensure` renews roots: pruning by age does not remove them.
    root = f"find /home/copier/.local -name {path.rpartition('/')[2]} -type l"
    lab.server.sh(f"{root} -exec touch --no-dereference --date='3 hours ago' {{}} +")
    assert "none was lost" in _ensure(project).check().stderr
    assert lab.server.sh(f"{root} -mmin -60").split() != []

    nix.empty_store(lab.server)
    assert not nix.is_valid(lab.server, path)
    repaired = _ensure(project).check().stderr
    assert "sent again" in repaired
    assert [each for each in nix.closure(lab.workstation, path) if each not in repaired] == []
    assert "1 remote" in _build_remotely(project, package, "second").check().stderr


def test_its_own_options_can_be_given(project: Project) -> None:
    package = new_package()
    project.declare(package)
    project.fetch(package).check()
    found = _ensure(project, "--", "--host=elsewhere").check()
    assert "no package of this workspace has been copied yet" in found.stderr


def test_without_a_host_it_says_what_is_missing(project: Project) -> None:
    project.declare()
    refused = project.bazel("run", "@nix_remote//:ensure", host=None)
    assert refused.status == 2
    assert "common --repo_env=BAZEL_NIX_REMOTE=nix-server" in refused.stderr
