"""With a host set, a successful fetch means that the package is on the server."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from lab import nix
from lab.lab import ACCOUNT, ALIAS, ROOT_ALIAS, Lab
from tests.bazel.modes import ONE_OF_MODES
from tests.bazel.project import Mode, Project, new_package

pytestmark = pytest.mark.timeout(180)

only_bzlmod = pytest.mark.parametrize(
    "project", [Mode.BZLMOD], indirect=True, ids=lambda mode: str(mode.value)
)
only_workspace = pytest.mark.parametrize(
    "project", [Mode.WORKSPACE], indirect=True, ids=lambda mode: str(mode.value)
)


def test_the_closure_is_on_the_server_when_the_fetch_ends(project: Project, lab: Lab) -> None:
    package = new_package()
    project.declare(package)
    (path,) = project.store_paths(package)
    assert not nix.is_valid(lab.server, path)

    fetched = project.fetch(package).check()

    closure = nix.closure(lab.workstation, path)
    assert len(closure) > 1
    assert [each for each in closure if not nix.is_valid(lab.server, each)] == []
    assert f"nix-remote: {package.name}: sending" in fetched.stderr


def test_the_copier_gets_host_package_workspace_and_paths(project: Project) -> None:
    package = new_package()
    project.declare(package)
    project.fetch(package).check()
    copy = project.python.copies()[-1]
    assert copy.option("host") == ALIAS
    assert copy.option("package") == package.name
    assert copy.option("workspace") == project.workspace.folder
    assert copy.store_paths == project.store_paths(package)


@ONE_OF_MODES
@pytest.mark.parametrize(("output", "count"), [("", 1), (".dev", 1), (".all", 3)])
def test_every_output_that_was_built_is_copied(
    project: Project, lab: Lab, output: str, count: int
) -> None:
    package = new_package(outputs="out dev doc", output=output)
    project.declare(package)
    project.fetch(package).check()
    paths = project.store_paths(package)
    assert len(paths) == count
    assert project.python.copies()[-1].store_paths == paths
    assert [path for path in paths if not nix.is_valid(lab.server, path)] == []


@ONE_OF_MODES
def test_a_package_that_is_a_link_to_another_is_copied_itself(project: Project, lab: Lab) -> None:
    target = new_package()
    link = f"pkgs.runCommand \"link\" {{ }} ''ln -s ${{{target.expression}}} $out''"
    package = replace(target, expression=link)
    project.declare(package)
    project.fetch(package).check()
    (path,) = project.store_paths(package)
    assert nix.is_valid(lab.server, path)


@ONE_OF_MODES
def test_a_second_build_copies_nothing(project: Project) -> None:
    package = new_package()
    project.declare(package)
    project.fetch(package).check()
    before = project.python.copies()
    project.fetch(package).check()
    assert project.python.copies() == before


def test_a_host_that_is_set_later_is_noticed(project: Project, lab: Lab) -> None:
    package = new_package()
    project.declare(package)
    (path,) = project.store_paths(package)
    before = project.python.copies()

    project.fetch(package, host=None).check()
    project.fetch(package, host="").check()
    assert project.python.copies() == before
    assert not nix.is_valid(lab.server, path)

    project.fetch(package).check()
    assert nix.is_valid(lab.server, path)


@ONE_OF_MODES
def test_another_host_is_another_copy(project: Project) -> None:
    package = new_package()
    project.declare(package)
    project.fetch(package).check()
    project.fetch(package, host=ROOT_ALIAS).check()
    hosts = [copy.option("host") for copy in project.python.copies()[-2:]]
    assert hosts == [ALIAS, ROOT_ALIAS]


def test_the_host_can_come_from_an_rc_file(project: Project) -> None:
    package = new_package()
    project.declare(package)
    project.fetch(package, f"--repo_env=BAZEL_NIX_REMOTE={ALIAS}", host=None).check()
    assert project.python.copies()[-1].store_paths == project.store_paths(package)


def test_the_remote_mode_of_rules_nixpkgs_stays_off(project: Project, lab: Lab) -> None:
    package = new_package()
    project.declare(package)
    project.fetch(package).check()
    # It would have built on the server, and created this folder.
    roots = f"/home/{ACCOUNT}/rules_nixpkgs_gcroots"
    assert lab.server.run(["test", "-e", roots]).status == 1


@ONE_OF_MODES
def test_nothing_of_the_copy_stays_in_the_package_but_lists_of_what_was_copied(
    project: Project, lab: Lab
) -> None:
    package = new_package()
    project.declare(package)
    project.fetch(package).check()
    folder = project.workspace.repositories()[package.name] + "/bazel-support"
    found = lab.workstation.sh(f"cd {folder} && find . -mindepth 1 | sort").split()
    files = ["BUILD.bazel", "closure.txt", "manifest.json"]
    inside = [f"./nix-remote/{name}" for name in files]
    assert found == ["./nix-out-link", "./nix-remote", *inside]
    manifest = json.loads(lab.workstation.read(f"{folder}/nix-remote/manifest.json"))
    assert manifest["version"] == 2
    assert manifest["host"] == ALIAS
    assert manifest["workspace"] == project.workspace.folder
    assert set(manifest["roots"]) == project.store_paths(package)
    (path,) = project.store_paths(package)
    assert sorted(manifest["paths"]) == sorted(nix.closure(lab.workstation, path))
    closure = lab.workstation.read(f"{folder}/nix-remote/closure.txt").split()
    assert closure == manifest["paths"]


@ONE_OF_MODES
def test_a_failed_copy_fails_the_fetch_with_the_text_of_the_copier(project: Project) -> None:
    package = new_package()
    project.declare(package)
    (path,) = project.store_paths(package)
    by_hand = ["nix-remote", "copy", "--host=no-such-host", f"--package={package.name}", path]
    text = project.workspace.host.run(by_hand).stderr
    assert "fix:" in text

    failed = project.fetch(package, host="no-such-host")

    assert failed.status != 0
    assert f"nix_remote could not copy @{package.name} to no-such-host" in failed.stderr
    assert [line for line in text.splitlines() if line.strip() not in failed.stderr] == []

    # Bazel does not cache the failure.
    assert project.fetch(package, host="no-such-host").status != 0
    project.fetch(package).check()


@ONE_OF_MODES
def test_a_crash_of_the_copier_fails_the_fetch_with_what_it_printed(project: Project) -> None:
    package = new_package()
    project.declare(package)
    crashing = "/root/crashing-python"
    project.workspace.host.write(
        crashing,
        '#!/bin/sh\nfor word; do if [ "$word" = copy ]; then echo crashed >&2; exit 70; fi; done\n'
        f'exec {project.python.path} "$@"\n',
        mode="755",
    )
    failed = project.fetch(package, env={"NIX_REMOTE_PYTHON": crashing})
    assert failed.status != 0
    assert "\ncrashed\n" in failed.stderr
    assert "(exit status 70): crashed\n" in failed.stderr


@ONE_OF_MODES
def test_an_option_that_leaves_no_link_is_explained(project: Project) -> None:
    package = new_package(nixopts=["--no-out-link"])
    project.declare(package)
    failed = project.fetch(package)
    assert failed.status != 0
    assert f"nix_remote found no store path of @{package.name}" in failed.stderr
    project.fetch(package, host=None).check()


@only_workspace
def test_a_package_that_may_be_left_out_is_not_copied(project: Project) -> None:
    package = new_package(fail_not_supported=False, build_file_content="")
    project.declare(package)
    folder = "/root/without-nix"
    script = f"mkdir -p {folder}; ln -sf /usr/bin/* {folder}; rm -f {folder}/nix*"
    project.workspace.host.sh(script)
    before = project.python.copies()
    fetched = project.fetch(package, env={"PATH": folder})
    # rules_nixpkgs silently makes an empty repository.
    assert "no such package" in fetched.stderr
    assert "nix_remote" not in fetched.stderr
    assert project.python.copies() == before


@only_bzlmod
def test_packages_that_modules_share_are_copied(project: Project, lab: Lab) -> None:
    project.declare(more='nix_pkg.default(attr = "hello")\nuse_repo(nix_pkg, "hello")')
    project.bazel("query", "@hello//:all", host=ALIAS).check()
    hello = nix.build(lab.workstation, ["hello"])["hello"]
    assert project.python.copies()[-1].store_paths == {hello}


@only_workspace
def test_flake_packages_are_copied(project: Project, lab: Lab) -> None:
    flake = """
      {
        outputs = { self }: {
          packages.x86_64-linux.default = derivation {
            name = "from-a-flake";
            system = "x86_64-linux";
            builder = "/usr/bin/bash";
            args = [ "-c" "/usr/bin/mkdir $out; echo content > $out/file; exit 0" ];
          };
        };
      }
    """
    lock = '{"nodes": {"root": {}}, "root": "root", "version": 7}'
    project.workspace.write({"flake/flake.nix": flake, "flake/flake.lock": lock})
    project.workspace.write({"flake/BUILD.bazel": 'exports_files(["flake.nix", "flake.lock"])'})
    project.declare(
        more='nixpkgs_flake_package(name = "flaky", nix_flake_file = "//flake:flake.nix",'
        ' nix_flake_lock_file = "//flake:flake.lock")'
    )
    # rules_nixpkgs 0.10 leaves it to the user to enable flakes.
    env = {"NIX_CONFIG": "experimental-features = nix-command flakes"}
    project.bazel("query", "@flaky//:all", host=ALIAS, env=env).check()
    copy = project.python.copies()[-1]
    assert copy.option("package") == "flaky"
    (path,) = copy.store_paths
    assert path.endswith("-from-a-flake")
    assert nix.is_valid(lab.server, path)


@ONE_OF_MODES
def test_python_files_of_a_package_are_not_imported(project: Project) -> None:
    trap = "raise SystemExit(99)"
    script = f"for name in argparse nix_remote; do echo '{trap}' > $out/$name.py; done"
    package = new_package(script=script)
    project.declare(package)
    # The copier runs in the package's folder.
    project.fetch(package, env={"PYTHONPATH": "."}).check()
