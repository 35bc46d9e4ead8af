"""The account's home folder on the server, asked for while the session does other things.

Durable roots are made below it by their absolute location: the folder in which
a session runs may be another one, if the login shell changes it or if the home
folder does not exist.

Does not belong here: where roots go if they cannot go there (`placement.py`).
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

# One line, and no single quotes: every login shell hands it on as it is.
HOME_COMMAND: Final = ("sh", "-c", f'{SET_HOME} echo "home $home"')

_PATIENCE: Final = 10.0
"""Seconds. The command does nothing that takes time; without its answer roots are still made."""
_MARK: Final = "home /"


def unknown() -> Optional[str]:
    """For sessions in which the home folder is not asked for."""
    return None


class HomeQuestion:
    """The question for the home folder, asked at most once per connection.

    Calling it waits for the answer: None if the account may not run the command,
    or if nothing has been asked.
    """

    def __init__(self, remote_exec: RemoteExec) -> None:
        self._remote_exec = remote_exec
        self._answer: Optional[Future[Optional[str]]] = None

    def ask(self) -> None:
        """Asks in the background, unless that was done before."""
        if self._answer is None:
            self._answer = Future()
            arguments = (self._remote_exec, self._answer)
            threading.Thread(
                target=_run, args=arguments, name="nix-remote-home", daemon=True
            ).start()

    def __call__(self) -> Optional[str]:
        if self._answer is None:
            return None
        wait([self._answer], timeout=_PATIENCE)
        return self._answer.result() if self._answer.done() else None


def _run(remote_exec: RemoteExec, answer: Future[Optional[str]]) -> None:
    folder = None
    try:
        done = remote_exec.run(HOME_COMMAND, waiting_for="the account's home folder")
        folder = parse(done.stdout) if done.status == 0 else None
    except NixRemoteError:
        pass  # no further session is allowed, or the main session learns why
    finally:
        answer.set_result(folder)


def parse(printed: str) -> Optional[str]:
    """The folder in what the command has printed; None if a restricted account ran another one."""
    folders = [line[len("home ") :] for line in printed.splitlines() if line.startswith(_MARK)]
    if not folders or not folders[-1].isprintable():
        return None
    # POSIX leaves the meaning of two leading slashes open; Nix makes one of them.
    return "/" + posixpath.normpath(folders[-1]).lstrip("/")
