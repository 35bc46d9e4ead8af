"""The script that puts the hook into rules_nixpkgs_core, and its copies."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from tests import whole_build

CORE = Path(__file__).parents[1] / "bazel" / "rules_nixpkgs_stand_in" / "core"


@pytest.fixture
def core(tmp_path: Path) -> Path:
    return Path(shutil.copytree(CORE, tmp_path / "core"))


def patch(core: Path) -> subprocess.CompletedProcess[str]:
    command = ["sh", "-c", whole_build.SCRIPT.read_text()]
    return subprocess.run(command, cwd=core, capture_output=True, text=True)


@pytest.mark.parametrize("copy", whole_build.COPIES, ids=lambda copy: copy.name)
def test_the_copies_are_the_script(copy: Path) -> None:
    assert copy.read_text() == whole_build.generate(copy), "run python -m tests.whole_build"


def test_the_hook_is_put_around_every_rule_that_realises_or_downloads(core: Path) -> None:
    done = patch(core)
    assert (done.returncode, done.stderr) == (0, "")
    before = (CORE / "nixpkgs.bzl").read_text().splitlines()
    first, *after = (core / "nixpkgs.bzl").read_text().splitlines()
    assert first.startswith('load("@nix_remote//bzl:whole_build.bzl", "nix_remote_wrap", ')
    assert [new for old, new in zip(before, after) if new != old] == [
        "    implementation = nix_remote_wrap_source(_nixpkgs_http_repository_impl),",
        "    implementation = nix_remote_wrap(_nixpkgs_package_impl), configure = True,",
        "    implementation = nix_remote_wrap(_nixpkgs_flake_package_impl), configure = True,",
    ]
    assert len(before) == len(after)
    added = (core / "MODULE.bazel").read_text()[len((CORE / "MODULE.bazel").read_text()) :]
    assert added.startswith('bazel_dep(name = "nix_remote", version = "')
    assert {file.name for file in core.iterdir()} == {file.name for file in CORE.iterdir()}


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (" = _nixpkgs_package_impl,", " = x,"),
        (" = _nixpkgs_http_repository_impl,", " = _nixpkgs_http_repository_impl ,"),
        ("\n_nixpkgs_package = ", "\n_more = repository_rule(_x)\n_nixpkgs_package = "),
        ("implementation", "implementing"),
    ],
    ids=["moved", "source", "another", "none"],
)
def test_an_unknown_version_is_refused_and_stays_as_it_is(core: Path, old: str, new: str) -> None:
    text = (core / "nixpkgs.bzl").read_text()
    assert old in text
    (core / "nixpkgs.bzl").write_text(text.replace(old, new))
    done = patch(core)
    assert done.returncode == 1
    assert "does not support this version of rules_nixpkgs_core" in done.stderr
    assert (core / "nixpkgs.bzl").read_text() == text.replace(old, new)
    assert (core / "MODULE.bazel").read_text() == (CORE / "MODULE.bazel").read_text()
