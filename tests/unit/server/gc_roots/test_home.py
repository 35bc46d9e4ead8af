"""The account's home folder, asked for in the background."""

from __future__ import annotations

import subprocess
import threading
import time
from typing import Optional, Sequence

import pytest

from nix_remote.errors import ConnectionBroken, NixRemoteError
from nix_remote.server.gc_roots import home
from nix_remote.server.remote_exec import Finished, RemoteExec


class Answering(RemoteExec):
    """Every program ends in the same way, but not before it may."""

    def __init__(self, finished: Finished, failure: Optional[NixRemoteError] = None) -> None:
        self._finished = finished
        self._failure = failure
        self.may_end = threading.Event()

    def run(self, command: Sequence[str], *, stdin: bytes = b"", waiting_for: str) -> Finished:
        assert self.may_end.wait(10)
        if self._failure is not None:
            raise self._failure
        return self._finished


@pytest.mark.parametrize(
    ("printed", "folder"),
    [
        ("home /home/me\n", "/home/me"),
        ("Welcome!\nhome /srv/a folder\n", "/srv/a folder"),
        ("home //home/me/\n", "/home/me"),
        ("home /\n", "/"),
        ("", None),
        ("home \n", None),
        ("home me\n", None),
        ("home /x\x1b[31m\n", None),
        ("\x0c\n\x00\x00", None),
    ],
)
def test_the_folder_is_what_the_command_prints(printed: str, folder: Optional[str]) -> None:
    assert home.parse(printed, now=0.0).home == folder


def test_nothing_waits_for_the_answer_until_it_is_needed() -> None:
    remote_exec = Answering(Finished(0, "home /home/me\n", ""))
    question = home.HomeQuestion(remote_exec)
    question.ask()
    remote_exec.may_end.set()
    assert [question(), question()] == ["/home/me", "/home/me"]


def test_the_clock_is_read_at_the_latest_when_the_command_has_ended() -> None:
    remote_exec = Answering(Finished(0, "home /home/me\nclock 1700000000\n", ""))
    question = home.HomeQuestion(remote_exec)
    assert question.clock() is None
    question.ask()
    before = time.monotonic()
    remote_exec.may_end.set()
    reading = question.clock()
    assert reading is not None
    assert reading.server == 1700000000
    assert before <= reading.at_latest <= time.monotonic()


@pytest.mark.parametrize("printed", ["", "clock \n", "clock now\n", "clock -5\n", "clock 1 2\n"])
def test_a_server_may_not_say_its_time(printed: str) -> None:
    assert home.parse(f"home /home/me\n{printed}", now=0.0).clock is None


def test_it_is_asked_once() -> None:
    remote_exec = Answering(Finished(0, "home /home/me\n", ""))
    question = home.HomeQuestion(remote_exec)
    assert question() is None
    remote_exec.may_end.set()
    question.ask()
    assert question() == "/home/me"
    remote_exec.may_end.clear()
    question.ask()
    assert question() == "/home/me"


@pytest.mark.parametrize(
    "remote_exec",
    [
        Answering(Finished(126, "home /home/me\n", "this account may not run that")),
        Answering(Finished(0, "", ""), ConnectionBroken("server", "copying", "it closed")),
    ],
)
def test_an_account_that_may_not_ask_has_no_known_home_folder(remote_exec: Answering) -> None:
    remote_exec.may_end.set()
    question = home.HomeQuestion(remote_exec)
    question.ask()
    assert question() is None


def test_the_home_folder_is_that_of_passwd_whatever_the_environment_says() -> None:
    def printed(**environment: str) -> Optional[str]:
        run = subprocess.run(
            home.HOME_COMMAND,
            env={"PATH": "/usr/bin:/bin", **environment},
            cwd="/tmp",
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        )
        return home.parse(run.stdout, now=0.0).home

    assert printed() == printed(HOME="/tmp") == printed(HOME="/tmp", CDPATH="/usr")
