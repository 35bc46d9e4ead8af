"""The files behind a package: Bazel watches each of them, and an edit causes a new copy.

Up to Bazel 7, the rules of rules_nixpkgs watch the file of each label that they use; since
Bazel 8, nix_remote watches them.
"""

from __future__ import annotations

from typing import Final

import pytest

from lab import nix
from lab.lab import ALIAS, Lab
from tests.bazel.modes import ONE_OF_MODES
from tests.bazel.project import Mode, Project, new_package

pytestmark = [pytest.mark.timeout(300), ONE_OF_MODES]

_MACROS: Final = """\
load("@nix_remote//bzl:nixpkgs.bzl", "nixpkgs_flake_package", "nixpkgs_package")

def declare():
    nixpkgs_package(
        name = "{name}_of_file",
        attribute_path = "package",
        build_file = "//:package.BUILD",
        nix_file = "//:linked.nix",
        nix_file_deps = ["//:text.nix"],
        repository = "@nixpkgs",
    )
    nixpkgs_flake_package(
        name = "{name}_of_flake",
        build_file = "//:package.BUILD",
        nix_flake_file = "//flake:flake.nix",
        nix_flake_file_deps = ["//flake:text.nix"],
        nix_flake_lock_file = "//flake:flake.lock",
        nixopts = ["--impure", "--extra-experimental-features", "nix-command flakes"],
    )

def _packages_impl(_):
    declare()

packages = module_extension(_packages_impl)
"""

_DECLARATIONS: Final = {
    Mode.BZLMOD: """\
packages = use_extension("//:packages.bzl", "packages")
use_repo(packages, "{name}_of_file", "{name}_of_flake")
""",
    Mode.WORKSPACE: 'load("//:packages.bzl", "declare")\ndeclare()\n',
}

_PACKAGE: Final = (
    'pkgs.runCommand "{name}" {{ }} "mkdir $out; echo ${{import ./text.nix}} > $out/text"'
)
_TARGETS: Final = """\
[
    genrule(
        name = kind,
        outs = [kind + ".txt"],
        cmd = "cat $< > $@",
        srcs = ["@{name}_%s//:text" % kind],
    )
    for kind in ["of_file", "of_flake"]
]
"""


def files(name: str) -> dict[str, str]:
    """Both packages; `linked.nix` is a link to `real.nix`."""
    pkgs = f"let pkgs = import {nix.PACKAGE_SET} {{ }}; in"
    package = _PACKAGE.format(name=name)
    flake = f"{{ outputs = _: {{ packages.x86_64-linux.default = {pkgs} {package}; }}; }}"
    return {
        "packages.bzl": _MACROS.format(name=name),
        "package.BUILD": 'exports_files(["text"])\n',
        "BUILD.bazel": _TARGETS.format(name=name),
        "real.nix": f"{{ ... }}: {pkgs} {{ package = {package}; }}\n",
        "text.nix": '"first"\n',
        "flake/BUILD.bazel": "",
        "flake/flake.nix": flake,
        "flake/flake.lock": '{ "nodes": { "root": { } }, "root": "root", "version": 7 }\n',
        "flake/text.nix": '"first"\n',
    }


@pytest.fixture(scope="module")
def built(project: Project) -> Project:
    """The project with both packages, which have been built and copied."""
    name = new_package().name
    project.declare(more=_DECLARATIONS[project.mode].format(name=name))
    project.workspace.write(files(name))
    project.workspace.host.sh(f"ln -sf real.nix {project.workspace.folder}/linked.nix")
    build(project)
    return project


def build(project: Project) -> int:
    """Builds both targets; returns how many copies that took."""
    before = len(project.python.copies())
    project.bazel("build", "//:of_file", "//:of_flake", host=ALIAS).check()
    return len(project.python.copies()) - before


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("real.nix", "mkdir $out;", "mkdir $out; echo edited > $out/more;"),
        ("text.nix", "first", "second"),
        ("package.BUILD", "exports_files", "\nexports_files"),
        ("flake/flake.nix", "mkdir $out;", "mkdir $out; echo edited > $out/more;"),
        ("flake/flake.lock", '"version": 7', '"version":  7'),
        ("flake/text.nix", "first", "second"),
    ],
)
def test_an_edit_of_a_file_copies_the_package_again(
    built: Project, lab: Lab, file: str, old: str, new: str
) -> None:
    workspace = built.workspace
    text = workspace.host.read(f"{workspace.folder}/{file}")
    assert old in text
    assert build(built) == 0
    workspace.write({file: text.replace(old, new)})
    # The BUILD file is that of both.
    assert build(built) == (2 if file == "package.BUILD" else 1)
    for path in built.python.copies()[-1].store_paths:
        assert nix.is_valid(lab.server, path)
    kind, folder = ("of_flake", "flake/") if file.startswith("flake/") else ("of_file", "")
    expected = workspace.host.read(f"{workspace.folder}/{folder}text.nix").strip(' "\n')
    assert workspace.host.read(f"{workspace.folder}/bazel-bin/{kind}.txt").strip() == expected
