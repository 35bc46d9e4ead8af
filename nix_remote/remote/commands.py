"""What is done on the server by running a program, where its protocol has no request for it."""

from __future__ import annotations

from typing import Final, Iterator, Sequence

from nix_remote.errors import CollectorNotAwaited, RootNotConfirmed, RootRefused
from nix_remote.protocol.worker import RootLink
from nix_remote.remote.programs import Finished, Programs
from nix_remote.remote.refusals import ReferenceVanished, condition
from nix_remote.remote.store import DurableRoot

COLLECT_NOTHING: Final = ("nix-store", "--gc", "--max-freed", "0")

PRINT_ROOTS: Final = ("nix-store", "--gc", "--print-roots")

# Of all roots of the store, those of the lines on standard input: a server may have many. The
# last line says that Nix has printed all it has. One line, and no single quotes.
FIND_ROOTS: Final = (
    "sh",
    "-c",
    f"wanted=$(cat); {{ {' '.join(PRINT_ROOTS)} && echo complete; }} |"
    ' grep -F -x -e complete -e "$wanted"',
)
_AT_ONCE: Final = 100
"""Roots. Their lines become one argument of `grep`, which the kernel limits to 128 KiB."""


def wait_for_collector(programs: Programs, alias: str) -> None:
    """A barrier: returns when no collector runs that began before.

    A garbage collection that may free nothing; it waits for a running one.
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
    if "is not valid" in done.stderr or "don't know how to build" in done.stderr:
        raise ReferenceVanished(done.stderr)
    said = _said(done)
    raise condition(said, alias) or RootRefused(alias, root.location, said)


def find_roots(programs: Programs, alias: str, roots: Sequence[DurableRoot]) -> frozenset[RootLink]:
    """Which of these roots, at absolute locations, the store's collector counts.

    Nix there passes an ordinary account's question on to the daemon. Raises `RootNotConfirmed`
    if the account may not ask.
    """
    links = [(root.location, root.path) for root in roots]
    printed: set[str] = set()
    for batch in _batches(links):
        lines = [line for link in batch for line in _as_printed(link)]
        printed |= _print_roots(programs, alias, batch[0][0], lines)
    return frozenset(link for link in links if not printed.isdisjoint(_as_printed(link)))


def _print_roots(programs: Programs, alias: str, first: str, wanted: Sequence[str]) -> set[str]:
    stdin = "".join(f"{line}\n" for line in wanted).encode(errors="surrogateescape")
    waiting_for = "the roots that Nix there counts"
    done = programs.run(FIND_ROOTS, stdin=stdin, waiting_for=waiting_for)
    if "complete" in done.stdout.splitlines():
        return set(done.stdout.splitlines())
    # The account may be restricted to plain commands.
    plain = programs.run(PRINT_ROOTS, waiting_for=waiting_for)
    if plain.status != 0:
        said = _said(done)
        raise condition(said, alias) or RootNotConfirmed(alias, first, " ".join(PRINT_ROOTS), said)
    return set(plain.stdout.splitlines())


def _as_printed(link: RootLink) -> tuple[str, str]:
    """The line for a root, as Nix 2.8 and 2.26 print it, and as 2.34 does."""
    location, path = link
    quoted = location.replace("\\", "\\\\").replace('"', '\\"')
    return f"{location} -> {path}", f'"{quoted}" -> {path}'


def _batches(links: Sequence[RootLink]) -> Iterator[Sequence[RootLink]]:
    for start in range(0, len(links), _AT_ONCE):
        yield links[start : start + _AT_ONCE]


def _said(done: Finished) -> str:
    return done.stderr or done.stdout.strip() or "the account may not run that command"
