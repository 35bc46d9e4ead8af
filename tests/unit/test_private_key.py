"""The key that authenticates manifests: made once, read only if it is private."""

from __future__ import annotations

import os
import pwd
import stat
import threading
from pathlib import Path

import pytest

from nix_remote import private_key
from nix_remote.private_key import KeyUnusable, keys, own_key

PLACE = ".local/state/nix-remote/manifest-key"


def test_it_is_made_once_and_only_this_user_can_read_it(tmp_path: Path) -> None:
    key = own_key([tmp_path])
    assert len(key) == 32
    assert own_key([tmp_path]) == key
    assert keys([tmp_path]) == [key]
    assert stat.S_IMODE((tmp_path / PLACE).stat().st_mode) == 0o600
    assert os.listdir((tmp_path / PLACE).parent) == ["manifest-key"]


def test_those_that_come_at_the_same_time_get_the_same_one(tmp_path: Path) -> None:
    begin = threading.Barrier(16)
    found = []

    def come() -> None:
        begin.wait(10)
        found.append(own_key([tmp_path]))

    threads = [threading.Thread(target=come) for _ in range(16)]
    for each in threads:
        each.start()
    for each in threads:
        each.join(10)
    assert len(found) == 16
    assert len(set(found)) == 1


def test_where_the_first_home_cannot_be_used_the_second_is(tmp_path: Path) -> None:
    blocked = tmp_path / "blocked"
    blocked.mkdir()
    (blocked / ".local").write_text("no folder")
    key = own_key([blocked, tmp_path])
    assert keys([blocked, tmp_path]) == [key]


@pytest.mark.parametrize("content", ["", "0" * 64, "x" * 64 + "\n", "0" * 63 + "\n"])
def test_what_is_no_key_is_not_used(tmp_path: Path, content: str) -> None:
    (tmp_path / PLACE).parent.mkdir(parents=True)
    (tmp_path / PLACE).write_text(content)
    (tmp_path / PLACE).chmod(0o600)
    assert keys([tmp_path]) == []
    with pytest.raises(KeyUnusable, match="not a key"):
        own_key([tmp_path])


def test_a_key_that_others_can_open_is_not_used(tmp_path: Path) -> None:
    own_key([tmp_path])
    (tmp_path / PLACE).chmod(0o644)
    assert keys([tmp_path]) == []
    with pytest.raises(KeyUnusable, match="chmod 600"):
        own_key([tmp_path])


def test_a_link_in_its_place_is_not_followed(tmp_path: Path) -> None:
    own_key([tmp_path / "elsewhere"])
    (tmp_path / PLACE).parent.mkdir(parents=True)
    (tmp_path / PLACE).symlink_to(tmp_path / "elsewhere" / PLACE)
    with pytest.raises(KeyUnusable):
        own_key([tmp_path])


def test_a_user_without_a_home_has_no_key() -> None:
    with pytest.raises(KeyUnusable, match="no home"):
        own_key([])


def test_the_home_of_the_user_database_comes_before_the_variable(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    own = Path(pwd.getpwuid(os.getuid()).pw_dir)
    assert private_key.homes({}) == [own]
    assert private_key.homes({"HOME": "/other"}) == [own, Path("/other")]
    assert private_key.homes({"HOME": "relative"}) == [own]

    def unknown(_: int) -> pwd.struct_passwd:
        raise KeyError

    monkeypatch.setattr(pwd, "getpwuid", unknown)
    assert private_key.homes({"HOME": "/other"}) == [Path("/other")]
