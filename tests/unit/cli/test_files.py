"""Replaces regular files of the user, and keeps their owner and permissions."""

import os
import stat
from pathlib import Path

import pytest

from nix_remote.cli import files
from nix_remote.errors import SetupInputUnusable
from nix_remote.setup.bundle import File


def test_a_file_is_replaced_and_the_old_one_kept_with_its_permissions(tmp_path: Path) -> None:
    file = tmp_path / "config"
    file.write_text("old")
    file.chmod(0o640)
    files.replace(file, "new")
    assert file.read_text() == "new"
    assert stat.S_IMODE(file.stat().st_mode) == 0o640
    assert (tmp_path / "config.before-nix-remote").read_text() == "old"
    assert not (tmp_path / "config.new").exists()


@pytest.mark.skipif(os.getuid() != 0, reason="only root can give files away")
@pytest.mark.parametrize("write", [files.replace, files.append])
def test_a_file_of_another_user_stays_theirs(tmp_path: Path, write: object) -> None:
    file = tmp_path / "config"
    file.write_text("old\n")
    os.chown(file, 4321, 4322)
    assert callable(write)
    write(file, "new")
    assert (file.stat().st_uid, file.stat().st_gid) == (4321, 4322)


@pytest.mark.parametrize("write", [files.replace, files.append])
def test_a_symbolic_link_stays_and_its_target_is_written(tmp_path: Path, write: object) -> None:
    real = tmp_path / "dotfiles" / "config"
    real.parent.mkdir()
    real.write_text("old\n")
    link = tmp_path / "config"
    link.symlink_to("dotfiles/config")
    assert callable(write)
    write(link, "new")
    assert link.is_symlink()
    assert real.read_text().rstrip().endswith("new")


@pytest.mark.parametrize("kind", ["fifo", "device", "folder", "circle", "link to a device"])
def test_only_regular_files_are_replaced_or_written_to(tmp_path: Path, kind: str) -> None:
    file = tmp_path / "it"
    if kind == "fifo":
        os.mkfifo(file)
    elif kind == "folder":
        file.mkdir()
    elif kind == "circle":
        file.symlink_to(file)
    else:
        file = Path("/dev/null")
        if kind == "link to a device":
            file = tmp_path / "link"
            file.symlink_to("/dev/null")
    before = os.lstat(file)
    for attempt in (
        lambda: files.replace(file, "new"),
        lambda: files.append(file, "new"),
        lambda: files.write_all(file.parent, [File(file.name, "new")]),
    ):
        with pytest.raises(SetupInputUnusable):
            attempt()
    after = os.lstat(file)
    assert (after.st_ino, after.st_mode) == (before.st_ino, before.st_mode)


@pytest.mark.parametrize("write", [files.replace, files.append])
def test_a_read_only_file_is_left_alone(tmp_path: Path, write: object) -> None:
    file = tmp_path / "config"
    file.write_text("old")
    file.chmod(0o444)
    assert callable(write)
    with pytest.raises(SetupInputUnusable) as caught:
        write(file, "new")
    assert "is read-only" in caught.value.fix
    assert file.read_text() == "old"


def test_a_line_is_added_after_a_last_line_without_a_line_break(tmp_path: Path) -> None:
    file = tmp_path / "known_hosts"
    file.write_text("one")
    files.append(file, "two")
    files.append(file, "three")
    assert file.read_text() == "one\ntwo\nthree\n"
    files.append(tmp_path / "new" / "known_hosts", "one")
    assert (tmp_path / "new" / "known_hosts").read_text() == "one\n"
