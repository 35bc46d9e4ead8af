"""Lists and removes durable roots on the server.

It runs the shell programs of `nix_remote.server.gc_roots.scripts`, which documents the format of
their output.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import Callable, Final, Optional, Sequence

from nix_remote import events
from nix_remote.errors import RootsUnreadable
from nix_remote.server.gc_roots.names import Root, Roots
from nix_remote.server.gc_roots.scripts import (
    FORMAT,
    LIST_COMMAND,
    NOT_FOUND,
    REMOVE_COMMAND,
)
from nix_remote.server.remote_exec import Finished, RemoteExec
from nix_remote.store.paths import STORE_DIRECTORY, parse_store_path
from nix_remote.text import decimal

MOST_ROOTS: Final = 1_000_000
"""More than any plausible server has; a longer list is an error."""

_AT_ONCE: Final = 5_000
"""Roots per run of the removal, whose names the server holds in memory.

Smaller batches take longer in total, because each run waits for collectors.
"""


def everything(root: Root, now: int) -> bool:
    """Selects every root."""
    return True


def list_roots(
    remote_exec: RemoteExec, alias: str, wanted: Callable[[Root, int], bool] = everything
) -> Roots:
    """The durable roots of this account for which `wanted(root, server's time)` is true.

    Only these are held in memory. Raises `RootsUnreadable` unless the list is complete.
    """
    listed = _List(wanted)
    done = remote_exec.run_lines(
        LIST_COMMAND, listed.take, at_most=MOST_ROOTS, waiting_for="the list of roots"
    )
    _check(alias, replace(done, stdout=listed.last_line or done.stdout))
    if listed.now is None:
        raise RootsUnreadable(alias, listed.last_line)
    found = sorted(listed.roots, key=lambda root: (root.location, root.folder_number))
    return Roots(listed.now, tuple(found), listed.others)


class _List:
    """Parses the output of `LIST_COMMAND`, line by line."""

    def __init__(self, wanted: Callable[[Root, int], bool]) -> None:
        self._wanted = wanted
        self.now: Optional[int] = None
        self.roots: list[Root] = []
        self.others = 0
        self.last_line = ""

    def take(self, line: str) -> None:
        self.last_line = line
        head, _, rest = line.rpartition(" ")
        now = decimal(rest)
        if head == FORMAT and now is not None:
            self.now = now
        elif self.now is not None and line != "end":
            root = parse_record(line)
            if root is None:
                self.others += 1
            elif self._wanted(root, self.now):
                self.roots.append(root)


def parse_record(line: str) -> Optional[Root]:
    """A root, from a line of the list; None for a link that no copy has made."""
    folder, _, record = line.partition(" ")
    fields = record.split(" ")
    number = decimal(folder)
    if len(fields) != 4 or number is None:
        return None
    seconds = fields[0].partition(".")[0]
    used = decimal(seconds.removeprefix("-"))
    names = fields[2].split("/")
    # A clock may have been before 1970.
    if len(names) != 3 or used is None:
        return None
    try:
        path = parse_store_path(f"{STORE_DIRECTORY}/{names[2]}")
    except ValueError:
        return None
    if seconds.startswith("-"):
        used = -used
    # Many roots have the same workspace and package.
    workspace, package = map(sys.intern, names[:2])
    return Root(workspace, package, path, used, number, line)


def remove_roots(
    remote_exec: RemoteExec,
    alias: str,
    roots: Sequence[Root],
    listener: events.Listener = events.ignore,
) -> tuple[Root, ...]:
    """Removes roots that have not been used since they were listed; returns those removed.

    Reports progress to the listener if there are many. Raises `RootsUnreadable`.
    """
    removed: set[str] = set()
    for first in range(0, len(roots), _AT_ONCE):
        page = roots[first : first + _AT_ONCE]
        done = _remove(remote_exec, page, removed)
        if done.status == NOT_FOUND and not remote_exec.searching:
            remote_exec.search_usual_places()
            done = _remove(remote_exec, page, removed)
        _check(alias, done)
        if len(roots) > _AT_ONCE:
            listener(events.RootsVisited(first + len(page), len(roots)))
    return tuple(root for root in roots if f"{root.folder_number} {root.location}" in removed)


def _remove(remote_exec: RemoteExec, roots: Sequence[Root], removed: set[str]) -> Finished:
    """Adds the number of the folder and the location of each removed root to `removed`."""
    last_line = ""

    def take(line: str) -> None:
        nonlocal last_line
        last_line = line
        if line.startswith("removed "):
            removed.add(line[len("removed ") :])

    done = remote_exec.run_lines(
        REMOVE_COMMAND,
        take,
        # One line for each root that is removed, two for each that is made again, and progress
        # lines. An interrupted removal is completed as well; that of `nix-remote-collect` may
        # have more roots.
        at_most=MOST_ROOTS,
        stdin="".join(f"{root.record}\n" for root in roots).encode(),
        waiting_for="roots to be removed",
    )
    return replace(done, stdout=last_line or done.stdout)


def _check(alias: str, done: Finished) -> None:
    """Raises `RootsUnreadable` unless a program is complete: `done.stdout` is its last line."""
    if done.status != 0 or done.stdout != "end":
        raise RootsUnreadable(alias, done.stderr or done.stdout)
