"""Finds the account's home folder on the server, in parallel with the session.

Durable roots are made below it by their absolute location. The working folder of a session is not
always the home folder: the login shell may change it, or the home folder may not exist.

Does not belong here: other folders for roots (`placement.py`).
"""

from __future__ import annotations

import posixpath
import threading
from concurrent.futures import Future, wait
from typing import Callable, Final, Optional

from nix_remote.errors import NixRemoteError
from nix_remote.server.gc_roots.names import SET_HOME
from nix_remote.server.remote_exec import RemoteExec

Home = Callable[[], Optional[str]]
"""The home folder; None if it is not known."""

# One line without single quotes: every login shell passes it on unchanged.
HOME_COMMAND: Final = ("sh", "-c", f'{SET_HOME} echo "home $home"')

_TIMEOUT: Final = 10.0
"""Seconds. The command is quick; without its answer, roots can still be made."""
_MARK: Final = "home /"


def unknown() -> Optional[str]:
    """For sessions that do not ask for the home folder."""
    return None


class HomeQuestion:
    """Asks for the home folder, at most once per connection.

    A call waits for the answer: None if the account may not run the command, or if `ask` was not
    called.
    """

    def __init__(self, remote_exec: RemoteExec) -> None:
        self._remote_exec = remote_exec
        self._answer: Optional[Future[Optional[str]]] = None

    def ask(self) -> None:
        """Runs the command in the background, unless that was done before."""
        if self._answer is None:
            self._answer = Future()
            arguments = (self._remote_exec, self._answer)
            threading.Thread(
                target=_run, args=arguments, name="nix-remote-home", daemon=True
            ).start()

    def __call__(self) -> Optional[str]:
        if self._answer is None:
            return None
        wait([self._answer], timeout=_TIMEOUT)
        return self._answer.result() if self._answer.done() else None


def _run(remote_exec: RemoteExec, answer: Future[Optional[str]]) -> None:
    folder = None
    try:
        done = remote_exec.run(HOME_COMMAND, waiting_for="the account's home folder")
        folder = parse(done.stdout) if done.status == 0 else None
    except NixRemoteError:
        pass  # the server allows no further session, or the main session reports the error
    finally:
        answer.set_result(folder)


def parse(output: str) -> Optional[str]:
    """The folder in the output; None if a restricted account ran another command."""
    folders = [line[len("home ") :] for line in output.splitlines() if line.startswith(_MARK)]
    if not folders or not folders[-1].isprintable():
        return None
    # POSIX does not define two leading slashes; Nix collapses them into one.
    return "/" + posixpath.normpath(folders[-1]).lstrip("/")
