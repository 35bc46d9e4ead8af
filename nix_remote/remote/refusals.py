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
from nix_remote.wire.types import PathInfo


class ReferenceVanished(Exception):
    """A path that was valid on the server, or had been sent, is gone. Look again and resend."""


@dataclass(frozen=True)
class Account:
    """Whom the server's words are addressed to."""

    alias: str
    user: str

    @property
    def is_root(self) -> bool:
        """Whether it has all power over the server, and so over its store."""
        return self.user == "root"


_LACKS_SIGNATURE: Final = re.compile(r"lacks a (valid )?signature")


def lacks_signature(message: str) -> bool:
    """Whether a server refuses a path because nobody that it trusts vouches for it."""
    return bool(_LACKS_SIGNATURE.search(message))


def meaning(message: str, account: Account, info: PathInfo) -> Exception:
    """The error that `message`, said about a path, stands for."""
    for pattern, make in _MEANINGS:
        if pattern.search(message):
            return make(message, account, info)
    return condition(message, account.alias) or PathRefused(account.alias, info.path, message)


def condition(message: str, alias: str) -> Optional[NixRemoteError]:
    """The error for a state of the whole server, which shows in any request; None if it is none."""
    for pattern, error in _CONDITIONS:
        if pattern.search(message):
            return error(alias, message)
    return None


def _signature_required(_said: str, account: Account, info: PathInfo) -> Exception:
    signers = ", ".join(signature.partition(":")[0] for signature in info.signatures)
    return SignatureRequired(account.alias, account.user, info.path, signers, 0)


_Maker = Callable[[str, Account, PathInfo], Exception]

_MEANINGS: Final[tuple[tuple[re.Pattern[str], _Maker], ...]] = (
    (_LACKS_SIGNATURE, _signature_required),
    (
        # Of a reference: a path that the server was asked for by name exists.
        re.compile(r"path '[^']*' is not valid"),
        lambda said, account, info: ReferenceVanished(said),
    ),
    (
        re.compile(r"(hash|size) mismatch"),
        lambda said, account, info: PathContentChanged(info.path, said),
    ),
    (
        # What a program of a restricted account says as well, when it is asked for another.
        re.compile(r"unexpected end-of-file"),
        lambda said, account, info: ServerEndedSession(account.alias, "copying", said),
    ),
)

_CONDITIONS: Final[tuple[tuple[re.Pattern[str], Callable[[str, str], NixRemoteError]], ...]] = (
    (re.compile(r"No space left on device|database or disk is full"), ServerDiskFull),
    (re.compile(r"[Dd]isk quota exceeded"), ServerQuotaExceeded),
    (
        re.compile(r"readonly database|[Rr]ead-only file system|unable to open database file"),
        ServerStoreReadOnly,
    ),
    (
        # From the process that passes an ordinary user's requests on to the daemon.
        re.compile(r"[Dd]aemon disconnected unexpectedly|Connection reset by peer|Broken pipe"),
        lambda alias, said: ServerEndedSession(alias, "it worked for us", said),
    ),
)
