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
    return PathRefused(account.alias, info.path, message)


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
        re.compile(r"No space left on device|database or disk is full"),
        lambda said, account, info: ServerDiskFull(account.alias, said),
    ),
    (
        re.compile(r"[Dd]isk quota exceeded"),
        lambda said, account, info: ServerQuotaExceeded(account.alias, account.user, said),
    ),
    (
        re.compile(r"readonly database|[Rr]ead-only file system|unable to open database file"),
        lambda said, account, info: ServerStoreReadOnly(account.alias, said),
    ),
    (
        # From the process that passes an ordinary user's requests on to the daemon.
        re.compile(
            r"[Dd]aemon disconnected unexpectedly|unexpected end-of-file"
            r"|Connection reset by peer|Broken pipe"
        ),
        lambda said, account, info: ServerEndedSession(account.alias, "copying", said),
    ),
)
