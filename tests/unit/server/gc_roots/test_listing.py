from __future__ import annotations

from typing import Callable, Sequence

import pytest

from nix_remote import events
from nix_remote.errors import RootsUnreadable
from nix_remote.server.gc_roots.listing import list_roots, parse_record, remove_roots
from nix_remote.server.gc_roots.names import Root
from nix_remote.server.remote_exec import Finished, RemoteExec
from tests.support.paths import path

HELLO, BASH = path("hello"), path("bash")
NAMES = {each: each.rpartition("/")[2] for each in (HELLO, BASH)}
RECORDS = {
    HELLO: f"1 100.5000000000 101.0 app-1a2b/hello/{NAMES[HELLO]} {HELLO}",
    BASH: f"2 900.0000000000 900.0 app-1a2b/bash/{NAMES[BASH]} {BASH}",
}
OLD = Root("app-1a2b", "hello", HELLO, 100, 1, RECORDS[HELLO])
NEW = Root("app-1a2b", "bash", BASH, 900, 2, RECORDS[BASH])


class Answering(RemoteExec):
    """A server that prints lines."""

    def __init__(self, status: int, *lines: str, rest: str = "", stderr: str = "") -> None:
        self._lines = lines
        self._finished = Finished(status, rest, stderr)
        self._searching = False
        self.stdin: list[bytes] = []

    def run_lines(
        self,
        command: Sequence[str],
        take: Callable[[str], None],
        *,
        at_most: int,
        stdin: bytes = b"",
        waiting_for: str,
    ) -> Finished:
        self.stdin.append(stdin)
        for line in self._lines:
            take(line)
        return self._finished


def test_roots_are_listed_with_the_servers_time() -> None:
    listed = [
        "a banner",
        "nix-remote-roots 2 1000",
        RECORDS[HELLO],
        RECORDS[BASH],
        "other",
        f"1 old old app-1a2b/bash/{NAMES[BASH]} {BASH}",
        f"1 5.0 5.0 app-1a2b/bash/README {BASH}",
        "end",
    ]
    found = list_roots(Answering(0, *listed), "server")
    assert found.now == 1000
    assert found.roots == (NEW, OLD)
    assert [root.record for root in found.roots] == [RECORDS[BASH], RECORDS[HELLO]]
    assert found.others == 3


def test_only_selected_roots_are_held() -> None:
    server = Answering(0, "nix-remote-roots 2 1000", *RECORDS.values(), "end")
    found = list_roots(server, "server", lambda root, now: now - root.last_used > 500)
    assert found.roots == (OLD,)


def test_a_clock_before_1970_is_understood() -> None:
    root = parse_record(f"1 -3600.0 -3600.0 app-1a2b/bash/{NAMES[BASH]} {BASH}")
    assert root is not None
    assert root.last_used == -3600


@pytest.mark.parametrize(
    ("status", "lines"),
    [
        (1, ["nix-remote-roots 2 1000", "end"]),
        (0, []),
        (0, ["This account is restricted."]),
        (0, ["end"]),
        # Cut off, or of another version.
        (0, ["nix-remote-roots 2 1000", RECORDS[HELLO]]),
        (0, ["nix-remote-roots 3 1000", RECORDS[HELLO], "end"]),
    ],
)
def test_what_is_no_complete_list_of_roots_is_an_error(status: int, lines: list[str]) -> None:
    with pytest.raises(RootsUnreadable):
        list_roots(Answering(status, *lines, stderr="said"), "server")


def test_only_what_the_server_removed_counts_as_removed() -> None:
    server = Answering(0, "busy", f"removed 1 {OLD.location}", "end")
    assert remove_roots(server, "server", [OLD, NEW]) == (OLD,)
    assert server.stdin == [f"{RECORDS[HELLO]}\n{RECORDS[BASH]}\n".encode()]
    # The same names in another place are another root.
    server = Answering(0, f"removed 2 {OLD.location}", "end")
    assert remove_roots(server, "server", [OLD, NEW]) == ()


@pytest.mark.parametrize(("status", "lines"), [(1, []), (0, []), (0, ["removed 1 a/b/c"])])
def test_a_removal_that_did_not_come_to_its_end_is_an_error(status: int, lines: list[str]) -> None:
    with pytest.raises(RootsUnreadable):
        remove_roots(Answering(status, *lines), "server", [OLD])


def test_many_roots_are_removed_in_several_runs() -> None:
    server = Answering(0, "end")
    reported: list[events.Event] = []
    remove_roots(server, "server", [OLD] * 12_000, reported.append)
    assert [text.count(b"\n") for text in server.stdin] == [5_000, 5_000, 2_000]
    assert reported == [events.RootsVisited(done, 12_000) for done in (5_000, 10_000, 12_000)]
    reported.clear()
    remove_roots(server, "server", [OLD] * 5_000, reported.append)
    assert reported == []


def test_programs_that_are_not_on_the_path_are_looked_for_elsewhere() -> None:
    class Elsewhere(Answering):
        def run_lines(
            self,
            command: Sequence[str],
            take: Callable[[str], None],
            *,
            at_most: int,
            stdin: bytes = b"",
            waiting_for: str,
        ) -> Finished:
            if not self.searching:
                return Finished(127, "", "")
            return super().run_lines(
                command, take, at_most=at_most, stdin=stdin, waiting_for=waiting_for
            )

    server = Elsewhere(0, f"removed 1 {OLD.location}", "end")
    assert remove_roots(server, "server", [OLD]) == (OLD,)
