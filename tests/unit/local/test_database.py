import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from nix_remote.local.database import DatabaseUnusable, closure_infos
from tests.support.paths import info, path

_TABLES = """
    CREATE TABLE ValidPaths (
        id INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL, path TEXT UNIQUE NOT NULL,
        hash TEXT NOT NULL, registrationTime INTEGER NOT NULL, deriver TEXT, narSize INTEGER,
        ultimate INTEGER, sigs TEXT, ca TEXT
    );
    CREATE TABLE Refs (referrer INTEGER NOT NULL, reference INTEGER NOT NULL);
"""


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """A state folder whose store has hello -> {bash, glibc}, bash -> {glibc, bash}, and other."""
    folder = tmp_path / "db"
    folder.mkdir()
    (folder / "schema").write_text("10")
    names = ["glibc", "bash", "hello", "other"]
    with closing(sqlite3.connect(folder / "db.sqlite")) as database:
        database.executescript(_TABLES)
        for name in names:
            one = info(name)
            row = (one.path, f"sha256:{one.nar_hash.hex()}", 1, one.nar_size)
            database.execute(
                "INSERT INTO ValidPaths (path, hash, registrationTime, narSize) VALUES (?,?,?,?)",
                row,
            )
        database.execute("UPDATE ValidPaths SET sigs = 'k:a j:b', deriver = ?", (path("drv"),))
        for referrer, reference in ((3, 2), (3, 1), (2, 1), (2, 2)):
            database.execute("INSERT INTO Refs VALUES (?,?)", (referrer, reference))
        database.commit()
    return tmp_path


def test_the_closure_with_everything_that_is_registered(state: Path) -> None:
    infos = closure_infos(state, [path("hello")])
    assert set(infos) == {path("hello"), path("bash"), path("glibc")}
    assert set(infos[path("hello")].references) == {path("bash"), path("glibc")}
    assert set(infos[path("bash")].references) == {path("bash"), path("glibc")}
    hello = infos[path("hello")]
    assert hello.nar_hash == info("hello").nar_hash
    assert hello.signatures == ("k:a", "j:b")
    assert hello.deriver == path("drv")
    assert hello.content_address == ""


def test_a_root_that_is_not_valid_is_not_in_the_result(state: Path) -> None:
    assert set(closure_infos(state, [path("nope"), path("glibc")])) == {path("glibc")}


def test_another_schema_is_left_to_nix(state: Path) -> None:
    (state / "db" / "schema").write_text("11")
    with pytest.raises(DatabaseUnusable, match="schema 11"):
        closure_infos(state, [path("hello")])


def test_no_database_is_left_to_nix(tmp_path: Path) -> None:
    with pytest.raises(DatabaseUnusable):
        closure_infos(tmp_path, [path("hello")])


def test_a_database_that_is_none_is_left_to_nix(state: Path) -> None:
    (state / "db" / "db.sqlite").write_bytes(b"not a database, far from it" * 100)
    with pytest.raises(DatabaseUnusable):
        closure_infos(state, [path("hello")])


def test_nothing_is_written(state: Path) -> None:
    before = {file.name: file.read_bytes() for file in (state / "db").iterdir()}
    closure_infos(state, [path("hello")])
    assert {file.name: file.read_bytes() for file in (state / "db").iterdir()} == before
