"""The client's memory for a server, or a store, with very many paths.

    python -m tests.endurance.many WHAT COUNT

runs the client's own code on generated data, which arrives in pieces as from a server, and prints
the growth of its peak memory in MiB. `prune` lists COUNT roots and selects one in a thousand;
`list` selects all; `count` compares a hundred roots with COUNT roots that Nix counts; `closure`
reads a closure of 1000 paths from a database of COUNT paths.
"""

from __future__ import annotations

import resource
import sqlite3
import sys
import tempfile
from contextlib import closing
from pathlib import Path
from typing import Callable, Final, Iterator, Optional, Sequence

from nix_remote import events
from nix_remote.local.database import closure_infos
from nix_remote.server.gc_roots.counted import uncounted
from nix_remote.server.gc_roots.listing import list_roots
from nix_remote.server.remote_exec import RemoteExec
from nix_remote.ssh.transport import Buffer, Channel
from nix_remote.store.paths import parse_store_path
from nix_remote.text import PeerText

_NOW: Final = 1_800_000_000
_OLD: Final = 86_400
_PLACE: Final = "/home/copier/.local/state/nix-remote/gcroots"
_CLOSURE: Final = 1000


def _name(number: int) -> str:
    digest = f"{number:032}"
    return f"{digest}-a-package-with-a-rather-usual-name-1.2.3"


def _location(number: int) -> str:
    return f"big-00000000/package-with-a-name-of-some-length-{number // 1000}/{_name(number)}"


def listed(count: int) -> Iterator[str]:
    """What the server prints of its roots; one in a thousand is old."""
    yield f"nix-remote-roots 2 {_NOW}"
    for number in range(count):
        used = _NOW - (2 * _OLD if number % 1000 == 0 else 60)
        times = f"{used}.1234567890 {used}.1234567890"
        yield f"1 {times} {_location(number)} /nix/store/{_name(number)}"
    yield "end"


def counted(count: int) -> Iterator[str]:
    """What the server prints of the roots that Nix there counts."""
    yield f"place 1 {_PLACE}"
    for number in range(count):
        yield f"{_PLACE}/{_location(number)} -> /nix/store/{_name(number)}"
    yield "end"


class _Printed:
    """A channel to a program that prints lines."""

    def __init__(self, lines: Iterator[str]) -> None:
        self._lines = lines

    def read(self, limit: int) -> bytes:
        taken: list[str] = []
        for line in self._lines:
            taken.append(line)
            if len(taken) == limit // 512:
                break
        return "".join(f"{line}\n" for line in taken).encode()

    def write(self, data: Buffer) -> int:
        return len(memoryview(data))

    def close_write(self) -> None:
        pass

    def close(self) -> None:
        pass

    def stderr_tail(self) -> PeerText:
        return PeerText("")

    def exit_status(self) -> Optional[int]:
        return 0


class _Server:
    """A transport to a server whose programs print lines."""

    description = "memory"
    opens_in_order = True

    def __init__(self, lines: Iterator[str]) -> None:
        self._lines = lines

    def open(self, command: Sequence[str]) -> Channel:
        return _Printed(self._lines)

    def close(self) -> None:
        pass


def remote_exec(lines: Iterator[str]) -> RemoteExec:
    return RemoteExec(_Server(lines), alias="server", stall_timeout=600, listener=events.ignore)


def prune(count: int) -> None:
    """Selects those that are old."""
    found = list_roots(
        remote_exec(listed(count)), "server", lambda root, now: now - root.last_used > _OLD
    )
    assert len(found.roots) == -(-count // 1000)


def list_all(count: int) -> None:
    """Selects every root."""
    assert len(list_roots(remote_exec(listed(count)), "server").roots) == count


def count_all(count: int) -> None:
    """Compares a hundred roots with all."""
    roots = list_roots(remote_exec(listed(100)), "server").roots
    assert uncounted(remote_exec(counted(count)), roots) == frozenset()


def closure(count: int) -> None:
    """A chain of paths in a database with the tables and indices of Nix's."""
    with tempfile.TemporaryDirectory() as state:
        folder = Path(state) / "db"
        folder.mkdir()
        (folder / "schema").write_text("10")
        with closing(sqlite3.connect(folder / "db.sqlite")) as database:
            database.executescript(
                """
                CREATE TABLE ValidPaths (
                    id INTEGER PRIMARY KEY, path TEXT UNIQUE NOT NULL, hash TEXT NOT NULL,
                    registrationTime INTEGER NOT NULL, deriver TEXT, narSize INTEGER,
                    ultimate INTEGER, sigs TEXT, ca TEXT);
                CREATE TABLE Refs (referrer INTEGER NOT NULL, reference INTEGER NOT NULL,
                    PRIMARY KEY (referrer, reference));
                """
            )
            paths = (
                (number, f"/nix/store/{_name(number)}", f"sha256:{number:064x}", 1, 1000)
                for number in range(1, count + 1)
            )
            database.executemany(
                "INSERT INTO ValidPaths (id, path, hash, registrationTime, narSize)"
                " VALUES (?,?,?,?,?)",
                paths,
            )
            database.executemany(
                "INSERT INTO Refs VALUES (?,?)",
                ((number, number - 1) for number in range(2, count + 1) if number % _CLOSURE != 1),
            )
            database.commit()
        found = closure_infos(Path(state), [parse_store_path(f"/nix/store/{_name(_CLOSURE)}")])
        assert len(found) == _CLOSURE


_WHAT: Final[dict[str, Callable[[int], None]]] = {
    "prune": prune,
    "list": list_all,
    "count": count_all,
    "closure": closure,
}


def _peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


if __name__ == "__main__":
    before = _peak()
    _WHAT[sys.argv[1]](int(sys.argv[2]))
    print(_peak() - before)
