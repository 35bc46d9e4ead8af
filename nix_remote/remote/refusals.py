"""What a server means when it does not take a path. Pure: its words in, our error out.

The words are those of Nix 2.8, 2.26 and 2.34.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Callable, Final

from nix_remote.errors import (
    PathContentChanged,
    PathRefused,
    ServerDiskFull,
    ServerEndedSession,
    ServerQuotaExceeded,
    ServerStoreReadOnly,
    SignatureRequired,
)
from nix_remote.wire.types import StorePath


class ReferenceVanished(Exception):
    """A path that was valid on the server, or had been sent, is gone. Look again and resend."""


@dataclass(frozen=True)
class Account:
    """Whom the server's words are addressed to."""

    alias: str
    user: str


def meaning(message: str, account: Account, path: StorePath) -> Exception:
    """The error that `message`, said about `path`, stands for."""
    for pattern, make in _MEANINGS:
        if pattern.search(message):
            return make(message, account, path)
    return PathRefused(account.alias, path, message)


_Maker = Callable[[str, Account, StorePath], Exception]

_MEANINGS: Final[tuple[tuple[re.Pattern[str], _Maker], ...]] = (
    (
        re.compile(r"lacks a (valid )?signature"),
        lambda said, account, path: SignatureRequired(account.alias, account.user, path),
    ),
    (
        # Of a reference: a path that the server was asked for by name exists.
        re.compile(r"path '[^']*' is not valid"),
        lambda said, account, path: ReferenceVanished(said),
    ),
    (
        re.compile(r"(hash|size) mismatch"),
        lambda said, account, path: PathContentChanged(path, said),
    ),
    (
        re.compile(r"No space left on device|database or disk is full"),
        lambda said, account, path: ServerDiskFull(account.alias, said),
    ),
    (
        re.compile(r"[Dd]isk quota exceeded"),
        lambda said, account, path: ServerQuotaExceeded(account.alias, account.user, said),
    ),
    (
        re.compile(r"readonly database|[Rr]ead-only file system|unable to open database file"),
        lambda said, account, path: ServerStoreReadOnly(account.alias, said),
    ),
    (
        # From the process that passes an ordinary user's requests on to the daemon.
        re.compile(
            r"[Dd]aemon disconnected unexpectedly|unexpected end-of-file"
            r"|Connection reset by peer|Broken pipe"
        ),
        lambda said, account, path: ServerEndedSession(account.alias, "copying", said),
    ),
)
