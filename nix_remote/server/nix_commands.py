"""What is done on the server by running a program, where its protocol has no request for it."""

from __future__ import annotations

from typing import Callable, Final, Sequence

from nix_remote.errors import CollectorNotAwaited, RootNotConfirmed, RootRefused
from nix_remote.protocol import nix_messages
from nix_remote.protocol.worker import RootLink
from nix_remote.server.nix_errors import ReferenceVanished, reference_vanished, store_error
from nix_remote.server.remote_exec import Finished, RemoteExec
from nix_remote.server.stores.base import DurableRoot

COLLECT_NOTHING: Final = ("nix-store", "--gc", "--max-freed", "0")

PRINT_ROOTS: Final = ("nix-store", "--gc", "--print-roots")

# Of all roots of the store, those of the lines on standard input: a server may have many. The
# last line says that Nix has printed all it has. One line, and no single quotes.
_FIND: Final = (
    f"wanted=$(cat); {{ {' '.join(PRINT_ROOTS)} && echo complete; }} |"
    ' grep -F -x -e complete -e "$wanted"'
)
FIND_ROOTS: Final = ("sh", "-c", _FIND)
# Root's own Nix does not ask the daemon unless it is told to.
FIND_ROOTS_OF_DAEMON: Final = ("sh", "-c", f"NIX_REMOTE=daemon; export NIX_REMOTE; {_FIND}")

_COMPLETE: Final = "complete"
_WAITING: Final = "the roots that Nix there counts"
_AT_ONCE: Final = 100
"""Roots. Their lines become one argument of `grep`, which the kernel limits to 128 KiB."""


def wait_for_collector(remote_exec: RemoteExec, alias: str) -> None:
    """A barrier: returns when every collector that took the lock before has ended.

    A garbage collection that may free nothing; it takes the same lock.
    Raises `CollectorNotAwaited` if the account may not run it.
    """
    done = remote_exec.run(COLLECT_NOTHING, waiting_for="a garbage collection on the server to end")
    # The words, too: a restricted account runs something else, and that may end well.
    if done.status != 0 or nix_messages.COLLECTED not in done.stdout + done.stderr:
        message = _output_of(done)
        raise store_error(message, alias) or CollectorNotAwaited(
            alias, " ".join(COLLECT_NOTHING), message
        )


def realise(root: DurableRoot) -> tuple[str, ...]:
    """The command that makes a durable root."""
    return ("nix-store", "--realise", root.path, "--add-root", root.location)


def add_root(remote_exec: RemoteExec, alias: str, root: DurableRoot) -> str:
    """Makes a durable root; returns where it is.

    Raises `ReferenceVanished` if the path is not valid any more, and
    `RootRefused` if the root cannot be made.
    """
    done = remote_exec.run(realise(root), waiting_for="a durable root")
    if done.status == 0 and done.stdout.strip().endswith(root.location):
        return done.stdout.strip()
    if reference_vanished(done.stderr):
        raise ReferenceVanished(done.stderr)
    message = _output_of(done)
    raise store_error(message, alias) or RootRefused(alias, root.location, message)


def find_roots(
    remote_exec: RemoteExec, alias: str, roots: Sequence[DurableRoot]
) -> frozenset[RootLink]:
    """Which of these roots, at absolute locations, the store's collector counts.

    Nix there passes an ordinary account's question on to the daemon. Raises `RootNotConfirmed`
    if the account may not ask.
    """

    def ask(first: str, wanted: Sequence[str]) -> set[str]:
        done = _find(remote_exec, FIND_ROOTS, wanted)
        if _COMPLETE in done.stdout.splitlines():
            return set(done.stdout.splitlines())
        # The account may be restricted to plain commands.
        plain = remote_exec.run(PRINT_ROOTS, waiting_for=_WAITING)
        if plain.status == 0:
            return set(plain.stdout.splitlines())
        message = _output_of(done)
        raise store_error(message, alias) or RootNotConfirmed(
            alias, first, " ".join(PRINT_ROOTS), message
        )

    return _among(roots, ask)


def find_roots_of_daemon(
    remote_exec: RemoteExec, roots: Sequence[DurableRoot]
) -> frozenset[RootLink]:
    """Which of these roots a Nix daemon counts; all of them if there is no daemon to ask.

    For root, whose own Nix works without it. The daemon collects, too: for other accounts, and
    when the disk is full.
    """

    def ask(first: str, wanted: Sequence[str]) -> set[str]:
        printed = _find(remote_exec, FIND_ROOTS_OF_DAEMON, wanted).stdout.splitlines()
        return set(printed if _COMPLETE in printed else wanted)

    return _among(roots, ask)


def _find(remote_exec: RemoteExec, command: Sequence[str], wanted: Sequence[str]) -> Finished:
    stdin = "".join(f"{line}\n" for line in wanted).encode(errors="surrogateescape")
    return remote_exec.run(command, stdin=stdin, waiting_for=_WAITING)


def _among(
    roots: Sequence[DurableRoot], ask: Callable[[str, Sequence[str]], set[str]]
) -> frozenset[RootLink]:
    """Those whose lines are in the answers to questions for a location and lines."""
    links = [(root.location, root.path) for root in roots]
    printed: set[str] = set()
    for start in range(0, len(links), _AT_ONCE):
        batch = links[start : start + _AT_ONCE]
        printed |= ask(
            batch[0][0], [line for link in batch for line in nix_messages.root_lines(*link)]
        )
    return frozenset(
        link for link in links if not printed.isdisjoint(nix_messages.root_lines(*link))
    )


def _output_of(done: Finished) -> str:
    return done.stderr or done.stdout.strip() or "the account may not run that command"
