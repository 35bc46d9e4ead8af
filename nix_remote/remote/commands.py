"""What is done on the server by running a program, where its protocol has no request for it."""

from __future__ import annotations

from typing import Final

from nix_remote.errors import CollectorNotAwaited, RootRefused
from nix_remote.remote.programs import Finished, Programs
from nix_remote.remote.refusals import ReferenceVanished, condition, reference_vanished
from nix_remote.remote.store import DurableRoot

COLLECT_NOTHING: Final = ("nix-store", "--gc", "--max-freed", "0")


def wait_for_collector(programs: Programs, alias: str) -> None:
    """A barrier: returns when every collector that took the lock before has ended.

    A garbage collection that may free nothing; it takes the same lock.
    Raises `CollectorNotAwaited` if the account may not run it.
    """
    done = programs.run(COLLECT_NOTHING, waiting_for="a garbage collection on the server to end")
    # The words, too: a restricted account runs something else, and that may end well.
    if done.status != 0 or "store paths deleted" not in done.stdout + done.stderr:
        said = _said(done)
        raise condition(said, alias) or CollectorNotAwaited(alias, " ".join(COLLECT_NOTHING), said)


def realise(root: DurableRoot) -> tuple[str, ...]:
    """The command that makes a durable root."""
    return ("nix-store", "--realise", root.path, "--add-root", root.location)


def add_root(programs: Programs, alias: str, root: DurableRoot) -> str:
    """Makes a durable root; returns where it is.

    Raises `ReferenceVanished` if the path is not valid any more, and
    `RootRefused` if the root cannot be made.
    """
    done = programs.run(realise(root), waiting_for="a durable root")
    if done.status == 0 and done.stdout.strip().endswith(root.location):
        return done.stdout.strip()
    if reference_vanished(done.stderr):
        raise ReferenceVanished(done.stderr)
    said = _said(done)
    raise condition(said, alias) or RootRefused(alias, root.location, said)


def _said(done: Finished) -> str:
    return done.stderr or done.stdout.strip() or "the account may not run that command"
