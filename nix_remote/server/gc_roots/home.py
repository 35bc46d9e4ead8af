"""Finds the account's home folder on the server, in parallel with the session.

Durable roots are made below it by their absolute location. The working folder of a session is not
always the home folder: the login shell may change it, or the home folder may not exist. The same
command reads the server's clock, because each command costs a round trip.

Does not belong here: other folders for roots (`placement.py`).
"""

from __future__ import annotations

import posixpath
import threading
import time
from concurrent.futures import Future, wait
from dataclasses import dataclass
from typing import Final, Optional

from nix_remote.errors import NixRemoteError
from nix_remote.server.clock import ClockReading
from nix_remote.server.gc_roots.names import SET_HOME
from nix_remote.server.remote_exec import RemoteExec
from nix_remote.text import decimal

# One line without single quotes: every login shell passes it on unchanged.
HOME_COMMAND: Final = ("sh", "-c", f'{SET_HOME} echo "home $home"; date "+clock %s"')

_TIMEOUT: Final = 10.0
"""Seconds. The command is quick; without its answer, roots can still be made."""
_HOME: Final = "home "
_CLOCK: Final = "clock "


@dataclass(frozen=True)
class Answer:
    """What the command says."""

    home: Optional[str] = None
    """The home folder; None if it is not known."""
    clock: Optional[ClockReading] = None
    """The server's clock; None if it is not known."""


class HomeQuestion:
    """Asks for the home folder and the clock, at most once per connection.

    Calls wait for the answer: None if the account may not run the command, or if `ask` was not
    called.
    """

    def __init__(self, remote_exec: RemoteExec) -> None:
        self._remote_exec = remote_exec
        self._answer: Optional[Future[Answer]] = None

    def ask(self) -> None:
        """Runs the command in the background, unless that was done before."""
        if self._answer is None:
            self._answer = Future()
            arguments = (self._remote_exec, self._answer)
            threading.Thread(
                target=_run, args=arguments, name="nix-remote-home", daemon=True
            ).start()

    def __call__(self) -> Optional[str]:
        """The home folder."""
        return self._wait().home

    def clock(self) -> Optional[ClockReading]:
        """The server's clock, as it was when the command ran."""
        return self._wait().clock

    def _wait(self) -> Answer:
        if self._answer is None:
            return Answer()
        wait([self._answer], timeout=_TIMEOUT)
        return self._answer.result() if self._answer.done() else Answer()


def _run(remote_exec: RemoteExec, answer: Future[Answer]) -> None:
    said = Answer()
    try:
        done = remote_exec.run(HOME_COMMAND, waiting_for="the account's home folder")
        if done.status == 0:
            said = parse(done.stdout, time.monotonic())
    except NixRemoteError:
        pass  # the server allows no further session, or the main session reports the error
    finally:
        answer.set_result(said)


def parse(output: str, now: float) -> Answer:
    """The answer in the output, which is empty if a restricted account ran another command.

    `now`: when the command has ended, in seconds on the monotonic clock.
    """
    folder, seconds = _last(output, _HOME), decimal(_last(output, _CLOCK))
    return Answer(
        # POSIX does not define two leading slashes; Nix collapses them into one.
        home="/" + posixpath.normpath(folder).lstrip("/") if folder.startswith("/") else None,
        clock=ClockReading(seconds, now) if seconds is not None else None,
    )


def _last(output: str, mark: str) -> str:
    """The rest of the last line that begins with the mark; empty if it cannot be printed."""
    found = [line[len(mark) :] for line in output.splitlines() if line.startswith(mark)]
    return found[-1] if found and found[-1].isprintable() else ""
