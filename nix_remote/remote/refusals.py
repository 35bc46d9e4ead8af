"""What a server means when it does not do what it is asked. Pure: its words in, our error out.

The words are those of Nix 2.8, 2.26 and 2.34.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Callable, Final, Optional

from nix_remote.errors import (
    NixRemoteError,
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
    return condition(message, account.alias) or PathRefused(account.alias, path, message)


def condition(message: str, alias: str) -> Optional[NixRemoteError]:
    """The error for a state of the whole server, which shows in any request; None if it is none."""
    for pattern, error in _CONDITIONS:
        if pattern.search(message):
            return error(alias, message)
    return None


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
        # From the process that passes an ordinary user's requests on to the daemon.
        re.compile(
            r"[Dd]aemon disconnected unexpectedly|unexpected end-of-file"
            r"|Connection reset by peer|Broken pipe"
        ),
        lambda said, account, path: ServerEndedSession(account.alias, "copying", said),
    ),
)

_CONDITIONS: Final[tuple[tuple[re.Pattern[str], Callable[[str, str], NixRemoteError]], ...]] = (
    (re.compile(r"No space left on device|database or disk is full"), ServerDiskFull),
    (re.compile(r"[Dd]isk quota exceeded"), ServerQuotaExceeded),
    (
        re.compile(r"readonly database|[Rr]ead-only file system|unable to open database file"),
        ServerStoreReadOnly,
    ),
)
