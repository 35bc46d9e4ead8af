"""What fetches leave behind, and where it is found."""

from __future__ import annotations

import hashlib
import json
import os
import pwd
from pathlib import Path

import pytest

from nix_remote import manifests
from nix_remote.manifests import Manifest
from tests.support.paths import path

MANIFEST = Manifest(
    host="nix-server",
    workspace="/home/me/app",
    package="hello",
    time=1_700_000_000,
    roots={path("hello"): "roots/hello"},
    paths=[path("glibc"), path("hello")],
)


def test_what_is_written_is_read() -> None:
    assert manifests.parse(manifests.as_text(MANIFEST)) == MANIFEST


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", "null", '{"version": 2}', manifests.as_text(MANIFEST)[:-20]]
)
def test_what_is_no_manifest_is_refused(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011  # whatever it says: the caller passes it by
        manifests.parse(text)


def test_a_root_that_is_no_store_path_is_refused() -> None:
    fields = json.loads(manifests.as_text(MANIFEST))
    fields["roots"] = {"/etc/passwd": "roots/x"}
    with pytest.raises(ValueError, match="passwd"):
        manifests.parse(json.dumps(fields))


def test_all_repositories_are_looked_at_and_broken_files_passed_by(tmp_path: Path) -> None:
    for name, text in {"hello~1": manifests.as_text(MANIFEST), "broken": "{", "other": ""}.items():
        folder = tmp_path / "external" / name / "bazel-support" / "nix-remote"
        folder.mkdir(parents=True)
        (folder / "manifest.json").write_text(text)
    assert manifests.find(tmp_path) == [MANIFEST]


def test_packages_that_were_not_copied_are_named(tmp_path: Path) -> None:
    for name, copied in {"hello": True, "other~~nix_pkg~gcc": False}.items():
        support = tmp_path / "external" / name / "bazel-support"
        support.mkdir(parents=True)
        for link in ("nix-out-link", "nix-out-link-dev"):
            (support / link).symlink_to("/nix/store/gone")
        if copied:
            (support / "nix-remote").mkdir()
            (support / "nix-remote" / "manifest.json").write_text(manifests.as_text(MANIFEST))
    (tmp_path / "external" / "platforms").mkdir()
    assert manifests.not_copied(tmp_path) == ["other~~nix_pkg~gcc"]


def test_a_workspace_is_found_by_the_links_of_a_build(tmp_path: Path) -> None:
    workspace = tmp_path / "app"
    workspace.mkdir()
    (workspace / "bazel-out").symlink_to(tmp_path / "base/execroot/_main/bazel-out")
    assert manifests.output_base(workspace) == tmp_path / "base"


def test_a_workspace_that_was_only_fetched_is_found_where_bazel_puts_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace = tmp_path / "app"
    workspace.mkdir()
    user = pwd.getpwuid(os.getuid())
    changed = (*user[:5], str(tmp_path), *user[6:])
    monkeypatch.setattr(pwd, "getpwuid", lambda _: pwd.struct_passwd(changed))
    assert manifests.output_base(workspace) is None
    digest = hashlib.md5(bytes(workspace)).hexdigest()
    base = tmp_path / ".cache/bazel" / f"_bazel_{user.pw_name}" / digest
    base.mkdir(parents=True)
    assert manifests.output_base(workspace) == base
