import os
from pathlib import Path

import pytest

from nix_remote.errors import (
    NotAStorePath,
    PathContentChanged,
    PathContentMissing,
    PathNotValid,
)
from nix_remote.local import database, serve
from nix_remote.local.store import LocalStore
from nix_remote.settings import LocalStoreSettings
from nix_remote.store.paths import PathInfo, StorePath
from tests.support.paths import info, path

STORE = LocalStore(LocalStoreSettings())
HELLO = path("hello")


@pytest.mark.parametrize("below", ["", "/bin/hello", "/", "/bin/../share"])
def test_a_path_below_a_store_path_means_that_store_path(below: str) -> None:
    assert STORE.store_path(HELLO + below) == HELLO


def test_links_are_followed_up_to_the_store_and_no_further(tmp_path: Path) -> None:
    # The first store path on the way counts, even where that is a link itself.
    (tmp_path / "result").symlink_to(HELLO)
    (tmp_path / "again").symlink_to("result")
    (tmp_path / "folder").symlink_to(tmp_path)
    for name in ("result", "again", "folder/again", "result/bin/hello"):
        assert STORE.store_path(str(tmp_path / name)) == HELLO


def test_a_relative_path_is_one_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("result").symlink_to(HELLO)
    assert STORE.store_path("./result") == HELLO


@pytest.mark.parametrize("text", ["/etc/passwd", "/nix/store", "/nix/store/.links/x", "", "/"])
def test_anything_else_is_not(text: str) -> None:
    with pytest.raises(NotAStorePath):
        STORE.store_path(text)


def test_links_in_a_circle_end(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    with pytest.raises(NotAStorePath):
        STORE.store_path(str(tmp_path / "a"))


def test_a_root_without_registration_is_not_valid(monkeypatch: pytest.MonkeyPatch) -> None:
    infos = {HELLO: info("hello")}
    monkeypatch.setattr(database, "closure_infos", lambda *_: infos)
    assert STORE.closure([HELLO]) == [infos[HELLO]]
    with pytest.raises(PathNotValid, match="-bash"):
        STORE.closure([HELLO, path("bash")])


@pytest.mark.parametrize(("remote", "fast"), [("", True), ("daemon", True), ("ssh-ng://x", False)])
def test_the_database_is_only_asked_about_the_ordinary_store(
    monkeypatch: pytest.MonkeyPatch, remote: str, fast: bool
) -> None:
    quick, slow = {HELLO: info("hello", nar=b"quick")}, {HELLO: info("hello", nar=b"slow")}
    monkeypatch.setattr(database, "closure_infos", lambda *_: quick)
    monkeypatch.setattr(serve, "closure_infos", lambda *_: slow)
    closure = LocalStore(LocalStoreSettings(remote=remote)).closure([HELLO])
    assert closure == list((quick if fast else slow).values())


def of_files(folder: Path, size: int) -> tuple[LocalStore, PathInfo]:
    """A path info whose path is a file of three bytes, and its registered size."""
    file = folder / "file"
    file.write_bytes(b"abc")
    return STORE, PathInfo(StorePath(str(file)), info("x").nar_hash, size)


def test_content_of_the_registered_size_is_handed_out(tmp_path: Path) -> None:
    store, one = of_files(tmp_path, 120)
    assert len(b"".join(store.nar(one))) == 120


@pytest.mark.parametrize("size", [112, 128, 1])
def test_content_of_another_size_has_changed(tmp_path: Path, size: int) -> None:
    store, one = of_files(tmp_path, size)
    with pytest.raises(PathContentChanged):
        list(store.nar(one))


def test_content_that_is_not_there_is_missing(tmp_path: Path) -> None:
    store, one = of_files(tmp_path, 120)
    store.check_present([one])
    os.unlink(one.path)
    with pytest.raises(PathContentMissing):
        store.check_present([one])
    with pytest.raises(PathContentMissing):
        list(store.nar(one))
