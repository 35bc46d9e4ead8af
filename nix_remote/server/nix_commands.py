"""Operations for which the protocol has no request: programs of Nix that run on the server."""

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

# Prints those of the store's roots that standard input names; a server may have many others. The
# last line confirms that Nix has printed all roots. One line without single quotes.
_FIND: Final = (
    f"wanted=$(cat); {{ {' '.join(PRINT_ROOTS)} && echo complete; }} |"
    ' grep -F -x -e complete -e "$wanted"'
)
FIND_ROOTS: Final = ("sh", "-c", _FIND)
# By default, Nix run by root does not ask the daemon.
FIND_ROOTS_OF_DAEMON: Final = ("sh", "-c", f"NIX_REMOTE=daemon; export NIX_REMOTE; {_FIND}")

_COMPLETE: Final = "complete"
_WAITING: Final = "the server's list of roots"
_AT_ONCE: Final = 100
"""Roots. Their lines become one argument of `grep`, which the kernel limits to 128 KiB."""


def wait_for_collector(remote_exec: RemoteExec, alias: str) -> None:
    """A barrier: returns when every garbage collector that took the lock before has ended.

    It is a collection that may delete nothing, and takes the same lock. Raises
    `CollectorNotAwaited` if the account may not run it.
    """
    done = remote_exec.run(COLLECT_NOTHING, waiting_for="a garbage collection on the server to end")
    # Check the output as well: a restricted account runs another program, which may succeed.
    if done.status != 0 or nix_messages.COLLECTED not in done.stdout + done.stderr:
        message = _output_of(done)
        raise store_error(message, alias) or CollectorNotAwaited(
            alias, " ".join(COLLECT_NOTHING), message
        )


def realise(root: DurableRoot) -> tuple[str, ...]:
    """The command that makes a durable root."""
    return ("nix-store", "--realise", root.path, "--add-root", root.location)


def add_root(remote_exec: RemoteExec, alias: str, root: DurableRoot) -> str:
    """Makes a durable root; returns its location.

    Raises `ReferenceVanished` if the path is no longer valid, and `RootRefused` if the root
    cannot be made.
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

    For an ordinary account, Nix on the server asks the daemon. Raises `RootNotConfirmed` if the
    account may not list roots.
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
    """Which of these roots the Nix daemon counts; all of them if there is no daemon.

    For root, whose Nix works without the daemon. The daemon collects garbage as well: for other
    accounts, and when the disk is full.
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
    """The roots whose lines `ask` returns. `ask` gets the first location of a batch, and lines."""
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
