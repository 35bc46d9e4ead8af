"""What a workspace brings along is read only if it is a file, and not a large one."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from nix_remote.doctor import workspace_files


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "home").mkdir()
    monkeypatch.setenv("HOME", str(tmp_path / "home"))


def test_what_is_no_file_is_passed_over(tmp_path: Path) -> None:
    (tmp_path / ".bazelrc").write_text("import %workspace%/endless\nimport %workspace%/fifo\n")
    (tmp_path / "endless").symlink_to("/dev/zero")
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "MODULE.bazel").symlink_to("/dev/zero")
    with open(tmp_path / "huge.bzl", "wb") as file:
        file.truncate(2**40)
    assert list(workspace_files.rc_files(tmp_path)) == [f"{tmp_path}/.bazelrc"]
    assert workspace_files.build_files(tmp_path) == {}


def test_links_to_files_are_followed(tmp_path: Path) -> None:
    (tmp_path / "real").write_text("build --x\x1b[31m\n")
    (tmp_path / ".bazelrc").symlink_to("real")
    assert workspace_files.rc_files(tmp_path) == {f"{tmp_path}/.bazelrc": "build --x\n"}


def test_not_more_files_are_read_than_a_person_would_write(tmp_path: Path) -> None:
    for number in range(600):
        (tmp_path / f"rc{number}").write_text("")
    imports = "".join(f"import %workspace%/rc{number}\n" for number in range(600))
    (tmp_path / ".bazelrc").write_text(imports)
    assert len(workspace_files.rc_files(tmp_path)) == 500
