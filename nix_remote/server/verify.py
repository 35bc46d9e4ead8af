"""Checks that valid paths are on the server's disk, and that their content is intact.

The protocols of Nix answer from the database only. So these checks run programs, and the account
must be allowed to run them:

    absent     paths that do not exist on the disk        a shell; reads no file
    damaged    paths whose content has another hash       nix-store --verify-path; reads everything

Belongs here: running these programs, and parsing their output. Not: repairs.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Iterator, Mapping, Sequence

from nix_remote.errors import ContentsUnreadable
from nix_remote.protocol import nix_messages
from nix_remote.server.remote_exec import Finished, RemoteExec
from nix_remote.server.stores.base import Damage
from nix_remote.store.paths import PathInfo, StorePath, base_name

VERIFY: Final = ("nix-store", "--verify-path")

# Base names are on standard input. One line without single quotes: every login shell passes it
# on unchanged.
PRESENT_COMMAND: Final = (
    "sh",
    "-c",
    'while read -r name; do path="/nix/store/${name##*/}";'
    ' test -e "$path" || test -L "$path" || echo "gone $name"; done; echo looked',
)

_NAMES_AT_ONCE: Final = 5000
"""Their names fit into the window of an SSH channel: all are written before the first line of
output is read."""
_PATHS_AT_ONCE: Final = 200
_BYTES_AT_ONCE: Final = 4 * 1024**3
"""The most that one program reads, so that it ends within the time limit of a program."""
_COMPLETE: Final = 3000
"""Bytes of standard error that a transport keeps; beyond that, the beginning may be lost."""


@dataclass(frozen=True)
class Damaged:
    """What is wrong with a path, and the message of Nix on the server."""

    damage: Damage
    message: str


def absent(remote_exec: RemoteExec, alias: str, paths: Sequence[StorePath]) -> frozenset[StorePath]:
    """The valid paths that are not on the server's disk.

    Raises `ContentsUnreadable` if the account may not run the check.
    """
    found: set[StorePath] = set()
    for start in range(0, len(paths), _NAMES_AT_ONCE):
        found |= _absent(remote_exec, alias, paths[start : start + _NAMES_AT_ONCE])
    return frozenset(found)


def _absent(remote_exec: RemoteExec, alias: str, paths: Sequence[StorePath]) -> set[StorePath]:
    names = "".join(f"{base_name(path)}\n" for path in paths)
    done = remote_exec.run(
        PRESENT_COMMAND, stdin=names.encode(), waiting_for="a check of the server's disk"
    )
    *lines, last = done.stdout.split("\n")[:-1] or [""]
    if done.status != 0 or last != "looked":
        message = done.stderr or done.stdout.strip()
        raise ContentsUnreadable(alias, "sh -c 'test -e PATH'", message)
    absent = {line[len("gone ") :] for line in lines if line.startswith("gone ")}
    return {path for path in paths if base_name(path) in absent}


def damaged(
    remote_exec: RemoteExec, alias: str, infos: Sequence[PathInfo]
) -> Mapping[StorePath, Damaged]:
    """The valid paths whose content differs from the registered hash.

    The server reads all of them. Raises `ContentsUnreadable` if the account may not run the check.
    """
    found: dict[StorePath, Damaged] = {}
    for batch in _batches(infos):
        found.update(_look(remote_exec, alias, batch))
    return found


def _batches(infos: Sequence[PathInfo]) -> Iterator[list[StorePath]]:
    batch: list[StorePath] = []
    size = 0
    for info in infos:
        if batch and (len(batch) == _PATHS_AT_ONCE or size + info.nar_size > _BYTES_AT_ONCE):
            yield batch
            batch, size = [], 0
        batch.append(info.path)
        size += info.nar_size
    if batch:
        yield batch


def _look(
    remote_exec: RemoteExec, alias: str, paths: list[StorePath]
) -> Iterator[tuple[StorePath, Damaged]]:
    while paths:
        done = remote_exec.run((*VERIFY, *paths), waiting_for="the server to read its store")
        bad = _judge(done)
        failed = nix_messages.UNREADABLE.search(done.stderr)
        # After an error about another path, or about none, the rest of these paths was not read.
        unread = "error:" in done.stderr if failed is None else failed["path"] not in paths
        if unread or (done.status != 0 and not bad):
            command = f"{' '.join(VERIFY)} PATH"
            raise ContentsUnreadable(alias, command, done.stderr or done.stdout.strip())
        if len(done.stderr) > _COMPLETE and len(paths) > 1:
            middle = len(paths) // 2
            yield from _look(remote_exec, alias, paths[:middle])
            yield from _look(remote_exec, alias, paths[middle:])
            return
        yield from bad.items()
        # At a path that it cannot read, the program stops.
        if failed is None:
            return
        paths = paths[paths.index(StorePath(failed["path"])) + 1 :]


def _judge(done: Finished) -> dict[StorePath, Damaged]:
    found = {}
    for line in done.stderr.splitlines():
        modified, failed = nix_messages.MODIFIED.search(line), nix_messages.UNREADABLE.search(line)
        if modified is not None:
            found[StorePath(modified["path"])] = Damaged(Damage.CHANGED, line)
        elif failed is not None:
            absent = nix_messages.ABSENT.search(failed["why"]) and not failed["below"]
            damage = Damage.ABSENT if absent else Damage.CHANGED
            found[StorePath(failed["path"])] = Damaged(damage, line)
    return found
