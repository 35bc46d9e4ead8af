"""A daemon that hangs up: killed just then, or it does not allow the account."""

from __future__ import annotations

from typing import Any, Optional

import pytest

from nix_remote.errors import (
    AccountNotAllowed,
    NixRemoteError,
    ServerDiskFull,
    ServerEndedSession,
)
from nix_remote.server import choose_protocol, disk_check
from nix_remote.server.nix_errors import Account
from nix_remote.settings import StoreProtocol

HUNG_UP = "error: unexpected EOF from daemon socket"


class Opener:
    """Opens sessions as told: each answer is the words that one ends with, None if it opens."""

    account = Account("s", "me")
    remote_exec = None

    def __init__(
        self, *worker: Optional[str], serve: str = "", status: Optional[int] = None
    ) -> None:
        self._worker = list(worker)
        self._serve = serve
        self._status = status
        self.opened = 0

    def over_worker(self) -> tuple[str, str]:
        self.opened += 1
        message = self._worker.pop(0)
        if message is None:
            return "store", "worker"
        raise ServerEndedSession("s", "the session was opened", message, self._status)

    def over_serve(self) -> tuple[str, str]:
        raise ServerEndedSession("s", "the session was opened", self._serve)


@pytest.fixture(autouse=True)
def disks_are_well(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(disk_check, "examine", lambda remote_exec, alias: None)


def opened(opener: Any, protocol: StoreProtocol = StoreProtocol.WORKER) -> object:
    return choose_protocol.open_store(protocol, opener)


def test_a_daemon_that_was_killed_answers_the_second_time() -> None:
    assert opened(Opener(HUNG_UP, None)) == ("store", "worker")


def test_one_that_hangs_up_twice_does_not_allow_the_account() -> None:
    with pytest.raises(AccountNotAllowed, match="the account me"):
        opened(Opener(HUNG_UP, HUNG_UP))


def test_one_that_hangs_up_because_of_its_disk_is_not_said_to_refuse_the_account(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    full = ServerDiskFull("s", "no room")
    monkeypatch.setattr(disk_check, "examine", lambda remote_exec, alias: full)
    with pytest.raises(ServerDiskFull):
        opened(Opener(HUNG_UP, HUNG_UP))


def test_where_the_worker_protocol_says_nothing_the_other_program_is_asked() -> None:
    message = "error: cannot open connection to remote store 'daemon': error: Broken pipe"
    with pytest.raises(AccountNotAllowed) as caught:
        opened(Opener("", "", serve=message))
    assert message in caught.value.why


@pytest.mark.parametrize("protocol", [StoreProtocol.WORKER, StoreProtocol.AUTO])
@pytest.mark.parametrize("serve", ["", "error: protocol mismatch"])
def test_a_program_that_ends_twice_without_a_word_does_not_serve_the_account(
    serve: str, protocol: StoreProtocol
) -> None:
    opener = Opener("", "", serve=serve, status=1)
    with pytest.raises(AccountNotAllowed, match="the account me") as caught:
        opened(opener, protocol)
    assert "it gave no reason" in caught.value.why
    assert "add me to allowed-users" in caught.value.fix
    assert "login shell" in caught.value.fix
    assert opener.opened == 2


@pytest.mark.parametrize(
    ("message", "attempts"),
    [("command not allowed", 1), ("", 2), ("cannot connect to socket at x", 1)],
)
def test_other_ends_stay_what_they_are(message: str, attempts: int) -> None:
    opener = Opener(message, message)
    with pytest.raises(NixRemoteError) as caught:
        opened(opener)
    assert type(caught.value) is ServerEndedSession
    assert opener.opened == attempts
