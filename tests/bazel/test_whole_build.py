"""With the hook in rules_nixpkgs_core itself, every package of a build is copied."""

from __future__ import annotations

from typing import Iterator

import pytest

from lab import bazel, nix
from lab.bazel import Workspace
from lab.host import Host
from lab.lab import ALIAS, Lab
from tests import whole_build
from tests.bazel import examples, store_paths
from tests.bazel.modes import skip_unless_possible
from tests.bazel.project import Mode

pytestmark = pytest.mark.timeout(180)

_ARCHIVE = "/opt/rules_nixpkgs.tar.gz"

# A module that does not use nix_remote.
_OTHER_MODULE = {
    ".bazelignore": "other\n",
    "other/BUILD.bazel": """\
genrule(
    name = "greeting",
    outs = ["greeting.txt"],
    cmd = "$(execpath @greeting//:bin) > $@",
    tools = ["@greeting//:bin"],
    visibility = ["//visibility:public"],
)
""",
    "other/MODULE.bazel": """\
module(name = "other")
bazel_dep(name = "rules_nixpkgs_core", version = "0.13.0")
nix_pkg = use_extension("@rules_nixpkgs_core//extensions:package.bzl", "nix_pkg")
nix_pkg.default(attr = "greeting")
use_repo(nix_pkg, "greeting")
""",
}
_USE_OTHER_MODULE = """
bazel_dep(name = "other", version = "0")
local_path_override(module_name = "other", path = "other")
"""

_WORKSPACE = f"""\
workspace(name = "whole_build")
load("@bazel_tools//tools/build_defs/repo:http.bzl", "http_archive")
http_archive(name = "nix_remote", url = "nix_remote.tar.gz")
load("@nix_remote//bzl:repositories.bzl", "nix_remote_dependencies")
load("@nix_remote//bzl:whole_build.bzl", "PATCH_CMDS")
http_archive(
    name = "rules_nixpkgs_core",
    patch_cmds = PATCH_CMDS,
    strip_prefix = "rules_nixpkgs-0.13.0/core",
    url = "file://{_ARCHIVE}",
)
nix_remote_dependencies()
load("@rules_nixpkgs_core//:nixpkgs.bzl", "nixpkgs_local_repository", "nixpkgs_package")
nixpkgs_local_repository(name = "nixpkgs", nix_file = "//:nixpkgs.nix")
[nixpkgs_package(name = name, repository = "@nixpkgs") for name in ["bash", "hello"]]
"""


# An empty folder reverts the override in the lab's rc file.
_NO_OVERRIDE = {
    Mode.BZLMOD: "--override_module=rules_nixpkgs_core=",
    Mode.WORKSPACE: "--override_repository=rules_nixpkgs_core=",
}


def _files(mode: Mode) -> dict[str, str]:
    """The files that the test replaces in the example."""
    if mode is Mode.WORKSPACE:
        return {
            **examples.PACKAGE_SET,
            "WORKSPACE": _WORKSPACE,
            "user.bazelrc": "common --noenable_bzlmod\n",
        }
    lines = (examples.FOLDER / "whole_build" / "MODULE.bazel").read_text().splitlines()
    here = [
        f'    urls = ["file://{_ARCHIVE}"],' if line.startswith("    urls = ") else line
        for line in lines
        if not line.startswith("    integrity = ")
    ]
    return {
        "MODULE.bazel": "\n".join(here) + _USE_OTHER_MODULE,
        **examples.PACKAGE_SET,
        **_OTHER_MODULE,
    }


@pytest.fixture(
    scope="module",
    params=[Mode.BZLMOD, pytest.param(Mode.WORKSPACE, marks=pytest.mark.thorough)],
    ids=lambda mode: str(mode.value),
)
def mode(request: pytest.FixtureRequest, workstation: Host) -> Mode:
    chosen: Mode = request.param
    skip_unless_possible(chosen, workstation)
    return chosen


@pytest.fixture(scope="module")
def example(mode: Mode, workstation: Host) -> Iterator[Workspace]:
    renamed = "s,^core,rules_nixpkgs-0.13.0/core,"
    workstation.sh(f"tar -C {bazel.RULES_NIXPKGS} --transform {renamed} -czf {_ARCHIVE} core")
    with examples.workspace(workstation, "whole_build", _files(mode), mode.defaults) as workspace:
        yield workspace


def test_a_build_without_a_word_of_nix_remote_runs_remotely(
    example: Workspace, mode: Mode, lab: Lab
) -> None:
    nix.empty_store(lab.server)
    targets = ["//:greeting"] + ["@other//:greeting"] * (mode is Mode.BZLMOD)
    built = examples.remotely(example, "build", _NO_OVERRIDE[mode], *targets).check()
    assert f"{len(targets)} remote" in built.stderr
    store_paths.assert_all_copied(example, lab.server, _NO_OVERRIDE[mode], host=ALIAS)


def test_the_drop_ins_find_the_hook_in_place(example: Workspace, mode: Mode) -> None:
    loads = 'load("@nix_remote//bzl:nixpkgs.bzl", "nixpkgs_package")\n'
    example.write({"drop_in/BUILD.bazel": loads})
    words = ["query", _NO_OVERRIDE[mode], "//drop_in:all"]
    example.bazel(*words, env={"BAZEL_NIX_REMOTE": ALIAS}).check()


@pytest.mark.parametrize(
    "change",
    ["s/ = _nixpkgs_package_impl,/ = x,/", "$ a _more = repository_rule(_nixpkgs_package_impl)"],
    ids=["moved", "another"],
)
def test_an_unknown_version_is_refused(workstation: Host, change: str) -> None:
    folder = "/root/unknown_core"
    workstation.sh(f"rm -rf {folder}; cp -r {bazel.RULES_NIXPKGS}/core {folder}")
    workstation.sh(f"sed -i '{change}' {folder}/nixpkgs.bzl")
    command = ["env", f"--chdir={folder}", "bash", "-c", whole_build.SCRIPT.read_text()]
    outcome = workstation.run(command)
    assert outcome.status == 1
    assert "does not support this version" in outcome.stderr
