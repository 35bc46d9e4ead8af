from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Sequence

import pytest

from nix_remote.errors import (
    CollectorNotAwaited,
    RootNotConfirmed,
    RootRefused,
    ServerQuotaExceeded,
)
from nix_remote.server.nix_commands import (
    FIND_ROOTS,
    FIND_ROOTS_OF_DAEMON,
    add_root,
    find_roots,
    find_roots_of_daemon,
    wait_for_collector,
)
from nix_remote.server.nix_errors import ReferenceVanished
from nix_remote.server.remote_exec import Finished, RemoteExec
from nix_remote.server.stores.base import DurableRoot
from tests.support.paths import path

ROOT = DurableRoot(path("hello"), ".local/state/roots/hello")


class Answering(RemoteExec):
    """Every program ends in the same way."""

    def __init__(self, status: int, stdout: str = "", stderr: str = "") -> None:
        self._finished = Finished(status, stdout, stderr)
        self.commands: list[Sequence[str]] = []
        self.inputs: list[bytes] = []

    def run(self, command: Sequence[str], *, stdin: bytes = b"", waiting_for: str) -> Finished:
        self.commands.append(command)
        self.inputs.append(stdin)
        return self._finished


def test_waiting_for_the_collector_collects_nothing() -> None:
    remote_exec = Answering(0, stderr="0 store paths deleted, 0.00 MiB freed")
    wait_for_collector(remote_exec, "server")
    assert remote_exec.commands == [("nix-store", "--gc", "--max-freed", "0")]


@pytest.mark.parametrize(
    "answer",
    [
        Answering(1, stderr="permission denied"),
        # An account that runs something else, whatever it is asked for.
        Answering(0, stdout="hello"),
        Answering(0),
    ],
)
def test_a_barrier_that_did_not_run_is_no_barrier(answer: RemoteExec) -> None:
    with pytest.raises(CollectorNotAwaited) as refused:
        wait_for_collector(answer, "server")
    assert "nix-store --gc --max-freed 0" in refused.value.why


def test_a_root_is_where_the_server_says() -> None:
    remote_exec = Answering(0, stdout=f"/home/me/{ROOT.location}\n")
    assert add_root(remote_exec, "server", ROOT) == f"/home/me/{ROOT.location}"
    assert remote_exec.commands[0][-2:] == ("--add-root", ROOT.location)


@pytest.mark.parametrize(
    "message",
    [
        f"path '{ROOT.path}' is not valid",
        f"error: path '{ROOT.path}' does not exist in the Lix database",
        f"don't know how to build these paths: {ROOT.path}",
    ],
)
def test_a_path_that_is_gone_is_not_a_refusal(message: str) -> None:
    with pytest.raises(ReferenceVanished):
        add_root(Answering(1, stderr=message), "server", ROOT)


def test_a_refused_root_says_why() -> None:
    with pytest.raises(RootRefused) as refused:
        add_root(Answering(1, stderr="Permission denied"), "server", ROOT)
    assert "Permission denied" in refused.value.why
    with pytest.raises(ServerQuotaExceeded):
        add_root(Answering(1, stderr="symlink: Disk quota exceeded"), "server", ROOT)


LINE = f"/home/me/{ROOT.location} -> {ROOT.path}"
QUOTED = f'"/home/me/{ROOT.location}" -> {ROOT.path}'
MADE = DurableRoot(ROOT.path, f"/home/me/{ROOT.location}")
LINK = (MADE.location, MADE.path)


def test_roots_that_nix_prints_are_counted() -> None:
    remote_exec = Answering(0, f"{LINE}\ncomplete\n")
    assert find_roots(remote_exec, "server", [MADE]) == {LINK}
    assert remote_exec.commands == [FIND_ROOTS]
    assert remote_exec.inputs == [f"{LINE}\n{QUOTED}\n".encode()]
    # As Nix 2.34 prints it.
    assert find_roots(Answering(0, f"{QUOTED}\ncomplete\n"), "server", [MADE]) == {LINK}
    assert find_roots(Answering(0, "complete\n"), "server", [MADE]) == set()


def test_many_roots_are_asked_for_in_several_portions() -> None:
    remote_exec = Answering(0, "complete\n")
    roots = [DurableRoot(path("x"), f"/roots/{number}") for number in range(250)]
    assert find_roots(remote_exec, "server", roots) == set()
    assert [data.count(b"\n") for data in remote_exec.inputs] == [200, 200, 100]


def test_an_account_that_may_run_plain_commands_prints_all_roots() -> None:
    class Plain(Answering):
        def run(self, command: Sequence[str], *, stdin: bytes = b"", waiting_for: str) -> Finished:
            super().run(command, stdin=stdin, waiting_for=waiting_for)
            if command == ("nix-store", "--gc", "--print-roots"):
                return Finished(0, f"{{temp:1}} -> {ROOT.path}\n{LINE}\n", "")
            return Finished(126, "", "this account may not run that")

    assert find_roots(Plain(0), "server", [MADE]) == {LINK}


def test_an_account_that_may_not_ask_learns_what_to_do() -> None:
    with pytest.raises(RootNotConfirmed) as refused:
        find_roots(Answering(126, stderr="may not run that"), "server", [MADE])
    assert "nix-store --gc --print-roots" in refused.value.why
    assert MADE.location in refused.value.why


def test_the_filter_on_the_server_passes_only_what_was_asked_for(tmp_path: Path) -> None:
    nix_store = tmp_path / "nix-store"
    others = "".join(f"echo '/x/{number}{LINE}'\n" for number in range(3))
    nix_store.write_text(f"#!/bin/sh\n{others}echo '{LINE}'\necho '{LINE}x'\n")
    nix_store.chmod(0o755)

    def run() -> list[str]:
        environment = {"PATH": f"{tmp_path}:/usr/bin:/bin"}
        done = subprocess.run(
            FIND_ROOTS, env=environment, input=LINE, stdout=subprocess.PIPE, text=True
        )
        return done.stdout.splitlines()

    assert run() == [LINE, "complete"]
    # Nix has failed before it had printed them all.
    nix_store.write_text(f"#!/bin/sh\necho '{LINE}'\nexit 1\n")
    assert run() == [LINE]


def test_root_asks_the_daemon_as_well_if_there_is_one() -> None:
    remote_exec = Answering(0, "complete\n")
    assert find_roots_of_daemon(remote_exec, [MADE]) == set()
    assert remote_exec.commands == [FIND_ROOTS_OF_DAEMON]
    assert find_roots_of_daemon(Answering(0, f"{LINE}\ncomplete\n"), [MADE]) == {LINK}
    nobody = Answering(1, stderr="cannot connect to socket: Connection refused")
    assert find_roots_of_daemon(nobody, [MADE]) == {LINK}
