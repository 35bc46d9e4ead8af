"""Whether the server's store holds what it has registered. It is read on the server, all of it."""

from __future__ import annotations

import re
from typing import Final, Iterator, Mapping, Sequence

from nix_remote.errors import ContentsUnreadable
from nix_remote.remote.programs import Finished, Programs
from nix_remote.wire.types import StorePath

VERIFY: Final = ("nix-store", "--verify-path")

_PATHS_AT_ONCE: Final = 200
_MODIFIED: Final = re.compile(r"path '(?P<path>/nix/store/[^']+)' was modified")
_FAILED: Final = re.compile(r"error: .*'(?P<path>/nix/store/[^/']+)[^']*'")


def differing(
    programs: Programs, alias: str, paths: Sequence[StorePath]
) -> Mapping[StorePath, str]:
    """Of these valid paths, those whose content is not as registered, with what Nix says.

    Raises `ContentsUnreadable` if the account may not look.
    """
    found: dict[StorePath, str] = {}
    for start in range(0, len(paths), _PATHS_AT_ONCE):
        for path, said in _look(programs, alias, list(paths[start : start + _PATHS_AT_ONCE])):
            found[path] = said
    return found


def _look(
    programs: Programs, alias: str, paths: list[StorePath]
) -> Iterator[tuple[StorePath, str]]:
    while paths:
        done = programs.run((*VERIFY, *paths), waiting_for="the server to read its store")
        bad = _judge(done)
        if done.status != 0 and not bad.keys() & set(paths):
            raise ContentsUnreadable(alias, done.stderr or done.stdout.strip())
        yield from bad.items()
        # Where it could not read a path it went no further.
        failed = _FAILED.search(done.stderr)
        if failed is None:
            return
        paths = paths[paths.index(StorePath(failed["path"])) + 1 :]


def _judge(done: Finished) -> dict[StorePath, str]:
    lines = done.stderr.splitlines()
    matches = [(line, _MODIFIED.search(line) or _FAILED.search(line)) for line in lines]
    return {StorePath(match["path"]): line for line, match in matches if match is not None}
