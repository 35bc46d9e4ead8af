"""Where a workspace's output base is, and what in it was written by a fetch of this user."""

from __future__ import annotations

import hashlib
import os
import pwd
from pathlib import Path

import pytest

from nix_remote import manifests, output_base
from tests.unit.test_manifests import KEY, MANIFEST

PLACE = "bazel-support/nix-remote"


def repository(base: Path, name: str) -> Path:
    folder = base / "external" / name / PLACE
    folder.mkdir(parents=True)
    return folder


def test_files_that_no_fetch_wrote_are_named_and_the_others_are_found(tmp_path: Path) -> None:
    content = manifests.as_text(MANIFEST, KEY)
    (repository(tmp_path, "good") / "manifest.json").write_text(content)
    (repository(tmp_path, "cut") / "manifest.json").write_text(content[:-5])
    (repository(tmp_path, "empty") / "manifest-2.json").write_text("")
    (repository(tmp_path, "link") / "manifest.json").symlink_to(tmp_path / "external/good")
    (repository(tmp_path, "folder") / "manifest.json").mkdir()
    (repository(tmp_path, "zero") / "manifest.json").symlink_to("/dev/zero")
    os.mkfifo(repository(tmp_path, "fifo") / "manifest.json")
    repository(tmp_path, "none")
    found = output_base.find(tmp_path, [KEY])
    assert found.manifests == [MANIFEST]
    named = [each.partition(": ")[0].split("/")[1] for each in found.unusable]
    assert named == ["cut", "empty", "fifo", "folder", "link", "zero"]


def test_a_file_without_end_is_not_read(tmp_path: Path) -> None:
    with open(repository(tmp_path, "huge") / "manifest.json", "wb") as file:
        file.truncate(manifests.LARGEST + 1)
    (named,) = output_base.find(tmp_path, [KEY]).unusable
    assert "more than" in named


def test_packages_that_were_not_copied_are_named(tmp_path: Path) -> None:
    for name, copied in {"hello": True, "other~~nix_pkg~gcc": False}.items():
        support = tmp_path / "external" / name / "bazel-support"
        support.mkdir(parents=True)
        for link in ("nix-out-link", "nix-out-link-dev"):
            (support / link).symlink_to("/nix/store/gone")
        if copied:
            (support / "nix-remote").mkdir()
            (support / "nix-remote" / "manifest.json").write_text("")
    (tmp_path / "external" / "platforms").mkdir()
    assert output_base.not_copied(tmp_path) == ["other~~nix_pkg~gcc"]


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A workspace of a user whose home folder is `tmp_path`."""
    folder = tmp_path / "app"
    folder.mkdir()
    user = pwd.getpwuid(os.getuid())
    changed = (*user[:5], str(tmp_path), *user[6:])
    monkeypatch.setattr(pwd, "getpwuid", lambda _: pwd.struct_passwd(changed))
    return folder


def linked(workspace: Path, base: Path, owner: str) -> None:
    base.mkdir(parents=True, exist_ok=True)
    (base / "DO_NOT_BUILD_HERE").write_text(owner)
    (workspace / "bazel-out").symlink_to(base / "execroot/_main/bazel-out")


def test_it_is_found_by_the_links_of_a_build(workspace: Path, tmp_path: Path) -> None:
    linked(workspace, tmp_path / "base", str(workspace.resolve()))
    assert output_base.of(workspace) == tmp_path / "base"


def test_of_a_workspace_that_was_only_fetched_it_is_where_bazel_puts_it(
    workspace: Path, tmp_path: Path
) -> None:
    assert output_base.of(workspace) is None
    digest = hashlib.md5(bytes(workspace)).hexdigest()
    base = tmp_path / ".cache/bazel" / f"_bazel_{pwd.getpwuid(0).pw_name}" / digest
    base.mkdir(parents=True)
    assert output_base.of(workspace) == base


def test_a_link_to_what_the_workspace_contains_is_not_followed(workspace: Path) -> None:
    linked(workspace, workspace / "ob", str(workspace.resolve()))
    assert output_base.of(workspace) is None


def test_a_relative_link_is_not_followed(workspace: Path) -> None:
    (workspace / "ob").mkdir()
    (workspace / "ob/DO_NOT_BUILD_HERE").write_text(str(workspace.resolve()))
    (workspace / "bazel-out").symlink_to("ob/execroot/_main/bazel-out")
    assert output_base.of(workspace) is None


def test_a_link_to_the_output_base_of_another_workspace_is_not_followed(
    workspace: Path, tmp_path: Path
) -> None:
    linked(workspace, tmp_path / "base", str(tmp_path / "other"))
    assert output_base.of(workspace) is None


def test_a_link_to_a_folder_that_bazel_did_not_make_is_not_followed(
    workspace: Path, tmp_path: Path
) -> None:
    linked(workspace, tmp_path / "base", str(workspace.resolve()))
    (tmp_path / "base/DO_NOT_BUILD_HERE").unlink()
    assert output_base.of(workspace) is None
    (tmp_path / "base/DO_NOT_BUILD_HERE").symlink_to("/dev/zero")
    assert output_base.of(workspace) is None
