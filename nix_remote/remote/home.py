"""The account's home folder on the server, asked for while the session does other things.

Durable roots are made below it by their absolute location: the folder in which
a session runs may be another one, if the login shell changes it or if the home
folder does not exist.

Does not belong here: where roots go if they cannot go there (`placing.py`).
"""

from __future__ import annotations

import posixpath
import threading
from concurrent.futures import Future, wait
from typing import Callable, Final, Optional

from nix_remote.errors import NixRemoteError
from nix_remote.remote.gc_roots import SET_HOME
from nix_remote.remote.programs import Programs

Home = Callable[[], Optional[str]]
"""The home folder; None if the account may not run the command that says it."""

# One line, and no single quotes: every login shell hands it on as it is.
HOME_COMMAND: Final = ("sh", "-c", f'{SET_HOME} echo "home $home"')

_PATIENCE: Final = 10.0
"""Seconds. The command does nothing that takes time; without its answer roots are still made."""
_MARK: Final = "home /"


def unknown() -> Optional[str]:
    """For sessions in which the home folder is not asked for."""
    return None


def ask(programs: Programs) -> Home:
    """Asks in the background. What is returned waits for the answer, the first time."""
    answer: Future[Optional[str]] = Future()

    def run() -> None:
        folder = None
        try:
            done = programs.run(HOME_COMMAND, waiting_for="the account's home folder")
            folder = parse(done.stdout) if done.status == 0 else None
        except NixRemoteError:
            pass  # no further session is allowed, or the main session learns why
        finally:
            answer.set_result(folder)

    threading.Thread(target=run, name="nix-remote-home", daemon=True).start()

    def home() -> Optional[str]:
        wait([answer], timeout=_PATIENCE)
        return answer.result() if answer.done() else None

    return home


def parse(printed: str) -> Optional[str]:
    """The folder in what the command has printed; None if a restricted account ran another one."""
    folders = [line[len("home ") :] for line in printed.splitlines() if line.startswith(_MARK)]
    if not folders or not folders[-1].isprintable():
        return None
    # POSIX leaves the meaning of two leading slashes open; Nix makes one of them.
    return "/" + posixpath.normpath(folders[-1]).lstrip("/")
