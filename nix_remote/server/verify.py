"""Whether the server's disk holds what its database calls valid. Looked up on the server.

A protocol of Nix answers from the database only. So these are programs, and the account must be
allowed to run them:

    gone       is there anything under the name of the path?    a shell; reads no file
    damaged    has the content the hash that is registered?     nix-store --verify-path; reads all

Belongs here: running them, and what their output means. Not: what is done about damage.
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

# Base names come in on standard input. One line, and no single quotes: every login shell
# hands it on as it is.
PRESENT_COMMAND: Final = (
    "sh",
    "-c",
    'while read -r name; do path="/nix/store/${name##*/}";'
    ' test -e "$path" || test -L "$path" || echo "gone $name"; done; echo looked',
)

_NAMES_AT_ONCE: Final = 5000
"""All of their names fit into what an SSH channel holds: they are written before the first line
of output is read."""
_PATHS_AT_ONCE: Final = 200
_BYTES_AT_ONCE: Final = 4 * 1024**3
"""What one program reads at most, so that it ends within the time that a program may take."""
_COMPLETE: Final = 3000
"""Bytes of standard error that a transport is sure to keep; of more, the beginning may be lost."""


@dataclass(frozen=True)
class Damaged:
    """What is wrong with a path, and the words of the server's Nix."""

    damage: Damage
    message: str


def absent(remote_exec: RemoteExec, alias: str, paths: Sequence[StorePath]) -> frozenset[StorePath]:
    """Of these valid paths, those that are not on the server's disk.

    Raises `ContentsUnreadable` if the account may not look.
    """
    found: set[StorePath] = set()
    for start in range(0, len(paths), _NAMES_AT_ONCE):
        found |= _absent(remote_exec, alias, paths[start : start + _NAMES_AT_ONCE])
    return frozenset(found)


def _absent(remote_exec: RemoteExec, alias: str, paths: Sequence[StorePath]) -> set[StorePath]:
    names = "".join(f"{base_name(path)}\n" for path in paths)
    done = remote_exec.run(
        PRESENT_COMMAND, stdin=names.encode(), waiting_for="a look at the server's disk"
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
    """Of these valid paths, those whose content is not what is registered there.

    Reads all of them. Raises `ContentsUnreadable` if the account may not look.
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
        # What it says of other paths, or of none, leaves the rest of these unread.
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
        # Where it could not read a path it went no further.
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
