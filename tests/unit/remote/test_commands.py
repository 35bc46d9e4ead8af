from __future__ import annotations

from typing import Sequence

import pytest

from nix_remote.errors import CollectorNotAwaited, RootRefused, ServerQuotaExceeded
from nix_remote.remote.commands import add_root, wait_for_collector
from nix_remote.remote.programs import Finished, Programs
from nix_remote.remote.refusals import ReferenceVanished
from nix_remote.remote.store import DurableRoot
from tests.support.paths import path

ROOT = DurableRoot(path("hello"), ".local/state/roots/hello")


class Answering(Programs):
    """Every program ends in the same way."""

    def __init__(self, status: int, stdout: str = "", stderr: str = "") -> None:
        self._finished = Finished(status, stdout, stderr)
        self.commands: list[Sequence[str]] = []

    def run(self, command: Sequence[str], *, stdin: bytes = b"", waiting_for: str) -> Finished:
        self.commands.append(command)
        return self._finished


def test_waiting_for_the_collector_collects_nothing() -> None:
    programs = Answering(0, stderr="0 store paths deleted, 0.00 MiB freed")
    wait_for_collector(programs, "server")
    assert programs.commands == [("nix-store", "--gc", "--max-freed", "0")]


@pytest.mark.parametrize(
    "answer",
    [
        Answering(1, stderr="permission denied"),
        # An account that runs something else, whatever it is asked for.
        Answering(0, stdout="hello"),
        Answering(0),
    ],
)
def test_a_barrier_that_did_not_run_is_no_barrier(answer: Programs) -> None:
    with pytest.raises(CollectorNotAwaited) as refused:
        wait_for_collector(answer, "server")
    assert "nix-store --gc --max-freed 0" in refused.value.why


def test_a_root_is_where_the_server_says() -> None:
    programs = Answering(0, stdout=f"/home/me/{ROOT.location}\n")
    assert add_root(programs, "server", ROOT) == f"/home/me/{ROOT.location}"
    assert programs.commands[0][-2:] == ("--add-root", ROOT.location)


@pytest.mark.parametrize(
    "said",
    [
        f"path '{ROOT.path}' is not valid",
        f"error: path '{ROOT.path}' does not exist in the Lix database",
        f"don't know how to build these paths: {ROOT.path}",
    ],
)
def test_a_path_that_is_gone_is_not_a_refusal(said: str) -> None:
    with pytest.raises(ReferenceVanished):
        add_root(Answering(1, stderr=said), "server", ROOT)


def test_a_refused_root_says_why() -> None:
    with pytest.raises(RootRefused) as refused:
        add_root(Answering(1, stderr="Permission denied"), "server", ROOT)
    assert "Permission denied" in refused.value.why
    with pytest.raises(ServerQuotaExceeded):
        add_root(Answering(1, stderr="symlink: Disk quota exceeded"), "server", ROOT)
