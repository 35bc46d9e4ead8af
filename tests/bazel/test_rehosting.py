"""The hook is inserted into every known version of rules_nixpkgs; others are refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.host import Host
from tests.bazel.modes import ONE_OF_MODES
from tests.bazel.project import Mode, Project, new_package

pytestmark = pytest.mark.timeout(180)


@pytest.fixture
def changed_core(workstation: Host, rules_nixpkgs: Path) -> str:
    """A copy of rules_nixpkgs_core that a test may edit."""
    folder = "/root/changed_core"
    workstation.sh(f"rm -rf {folder}")
    workstation.put(rules_nixpkgs / "core", folder)
    return folder


def _replace(host: Host, path: str, old: str, new: str) -> None:
    text = host.read(path)
    assert old in text
    host.write(path, text.replace(old, new))


def _version(host: Host, folder: str) -> str:
    (line,) = [
        line
        for line in host.read(f"{folder}/MODULE.bazel").splitlines()
        if line.startswith("    version = ")
    ]
    return line.split('"')[1]


def _refused(project: Project, core: str) -> str:
    """Bazel's output of a failed fetch with that rules_nixpkgs_core."""
    package = new_package()
    project.declare(package)
    failed = project.fetch(package, project.override("rules_nixpkgs_core", core), host=None)
    assert failed.status != 0
    return failed.stderr


@ONE_OF_MODES
@pytest.mark.parametrize(
    ("file", "anchor"),
    [
        ("nixpkgs.bzl", "    implementation = _nixpkgs_package_impl,"),
        ("nixpkgs.bzl", "    implementation = _nixpkgs_flake_package_impl,"),
        ("nixpkgs.bzl", "    implementation = _nixpkgs_http_repository_impl,"),
        ("nixpkgs.bzl", '    ":util.bzl",'),
        ("extensions/package.bzl", 'load("//:nixpkgs.bzl", "nixpkgs_package")'),
    ],
)
def test_an_unknown_version_is_refused(
    project: Project, workstation: Host, changed_core: str, file: str, anchor: str
) -> None:
    # Equivalent for Bazel, but not the text that nix_remote expects.
    changed = f"{anchor[:-1]} {anchor[-1]}"
    _replace(workstation, f"{changed_core}/{file}", anchor, changed)
    stderr = _refused(project, changed_core)
    version = f"(version {_version(workstation, changed_core)})."
    assert f"nix_remote does not support this rules_nixpkgs {version}" in stderr
    assert f"{file.replace('/', ':')} contains this text 0 times" in stderr
    assert f"{anchor}\n" in stderr
    assert "0.10 to 0.13" in stderr


@ONE_OF_MODES
def test_a_text_that_occurs_twice_is_refused(
    project: Project, workstation: Host, changed_core: str
) -> None:
    line = "    implementation = _nixpkgs_package_impl,\n"
    _replace(workstation, f"{changed_core}/nixpkgs.bzl", line, f"{line}#\n{line}")
    stderr = _refused(project, changed_core)
    assert "contains this text 2 times" in stderr


_ANOTHER_RULE = "\n_more = repository_rule(_nixpkgs_package_impl)\n"


@ONE_OF_MODES
@pytest.mark.parametrize(
    ("change", "text"),
    [
        pytest.param(
            "mv {core}/extensions/package.bzl {core}/extensions/packages.bzl",
            "extensions:package.bzl does not exist.\n",
            marks=pytest.mark.thorough,
        ),
        ("mv {core}/extensions {core}/extension", "extensions:package.bzl does not exist.\n"),
        pytest.param(
            "mv {core}/nixpkgs.bzl {core}/package.bzl",
            "nixpkgs.bzl does not exist.",
            marks=pytest.mark.thorough,
        ),
        (
            f"printf '{_ANOTHER_RULE}' >>{{core}}/nixpkgs.bzl",
            "nixpkgs.bzl contains this text 5 times (expected: 4):\n",
        ),
        (
            "touch {core}/more.bzl; sed -i '1i load(\":more.bzl\")' {core}/nixpkgs.bzl",
            "nixpkgs.bzl loads :more.bzl, a file that nix_remote does not know.\n",
        ),
    ],
    ids=["file", "folder", "rules", "rule", "load"],
)
def test_rules_that_moved_or_came_are_refused(
    project: Project, workstation: Host, changed_core: str, change: str, text: str
) -> None:
    workstation.sh(change.format(core=changed_core))
    stderr = _refused(project, changed_core)
    version = f"(version {_version(workstation, changed_core)})."
    assert f"nix_remote does not support this rules_nixpkgs {version}" in stderr
    assert text in stderr
    assert "use one of these versions, or a nix_remote that supports yours" in stderr


@ONE_OF_MODES
def test_a_change_of_rules_nixpkgs_is_followed(
    project: Project, workstation: Host, changed_core: str
) -> None:
    option = project.override("rules_nixpkgs_core", changed_core)
    package = new_package()
    project.declare(package)
    before = project.fetch(package, option).check()
    assert "changed rules" not in before.stderr

    start = "def _nixpkgs_package_impl(repository_ctx):\n"
    noisy = f'{start}    print("changed rules")\n'
    _replace(workstation, f"{changed_core}/nixpkgs.bzl", start, noisy)

    after = project.fetch(package, option).check()
    assert "changed rules" in after.stderr


@pytest.mark.parametrize(
    "project", [Mode.WORKSPACE], indirect=True, ids=lambda mode: str(mode.value)
)
def test_an_unknown_version_of_a_toolchain_is_refused(
    project: Project, workstation: Host, rules_nixpkgs: Path
) -> None:
    folder = "/root/changed_java"
    workstation.sh(f"rm -rf {folder}")
    workstation.put(rules_nixpkgs / "toolchains" / "java", folder)
    anchor = '"@rules_nixpkgs_core//:nixpkgs.bzl"'
    _replace(workstation, f"{folder}/java.bzl", anchor, anchor.replace("@", "@@"))
    project.declare()
    loads = 'load("@nix_remote//bzl/toolchains:java.bzl", "nixpkgs_java_configure")\n'
    project.workspace.write({"BUILD.bazel": loads})
    option = project.override("rules_nixpkgs_java", folder)
    failed = project.bazel("query", option, "//:all", host=None)
    assert failed.status != 0
    version = f"(version {_version(workstation, folder)})."
    assert f"nix_remote does not support this rules_nixpkgs {version}" in failed.stderr
    assert "java.bzl contains this text 0 times" in failed.stderr
