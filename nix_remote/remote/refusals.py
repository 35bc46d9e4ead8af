"""What a server's words mean. Pure: the text of a refusal in, an error of ours out.

Nix has no codes for its errors, so the sentences are the only evidence. The tables below are
complete for what Nix 2.4 to 2.36 and Lix 2.90 to 2.96 say when a path is added (operation 39
of the worker protocol, command 9 of the serve protocol) and when a session begins. A sentence
that no row matches becomes `PathRefused` or `ServerEndedSession`, which quote it.

Belongs here: sentences and what they mean. Not: when they are asked for, or what is tried next.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Callable, Final, Optional

from nix_remote.errors import (
    AccountNotAllowed,
    ContentAddressRefused,
    DaemonSocketClosed,
    NameTooLong,
    NixRemoteError,
    PathContentChanged,
    PathRefused,
    PathTooDeep,
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
    """The account on the server that its words are about."""

    alias: str
    user: str

    @property
    def is_root(self) -> bool:
        """Whether it has all power over the server, and so over its store."""
        return self.user == "root"


# The second form is Lix's, from 2.91 on; the third is that of a program that is to make a root.
_VANISHED: Final = re.compile(
    r"path '[^']*' (is not valid|does not exist in the Lix database)|don't know how to build"
)
_LACKS_SIGNATURE: Final = re.compile(r"lacks a (valid )?signature")


def lacks_signature(message: str) -> bool:
    """Whether a server refuses a path because no key that it trusts has signed it."""
    return bool(_LACKS_SIGNATURE.search(message))


def reference_vanished(message: str) -> bool:
    """Whether a program or a session fails because a path is not valid any more."""
    return bool(_VANISHED.search(message))


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


def turned_away(message: str, account: Account) -> Optional[NixRemoteError]:
    """What it means that a session ended with `message` before it began; None if not known.

    A daemon that was killed at this very moment leaves the same words as one that does not
    allow the account: ask this only when a second session has ended like the first one.
    """
    for pattern, error in _AT_THE_DOOR:
        if pattern.search(message):
            return error and error(account.alias, account.user, message)
    return None


_Maker = Callable[[str, Account, PathInfo], Exception]


def _signature_required(_said: str, account: Account, info: PathInfo) -> Exception:
    signers = ", ".join(signature.partition(":")[0] for signature in info.signatures)
    return SignatureRequired(account.alias, account.user, info.path, signers, 0)


def _vanished(said: str, _account: Account, _info: PathInfo) -> Exception:
    return ReferenceVanished(said)


def _changed(said: str, _account: Account, info: PathInfo) -> Exception:
    return PathContentChanged(info.path, said)


def _content_address(said: str, account: Account, info: PathInfo) -> Exception:
    return ContentAddressRefused(account.alias, info.path, said)


def _too_deep(said: str, account: Account, info: PathInfo) -> Exception:
    return PathTooDeep(account.alias, info.path, said)


def _too_long(said: str, account: Account, info: PathInfo) -> Exception:
    return NameTooLong(account.alias, info.path, said)


def _ended(said: str, account: Account, _info: PathInfo) -> Exception:
    return ServerEndedSession(account.alias, "copying", said)


# The first row that matches counts.
_MEANINGS: Final[tuple[tuple[re.Pattern[str], _Maker], ...]] = (
    (_LACKS_SIGNATURE, _signature_required),
    # Of a reference: a path that the server was asked for by name exists.
    (_VANISHED, _vanished),
    # Said only when the hash of the whole content was right.
    (re.compile(r"ca hash mismatch|claims to be content-addressed but isn't"), _content_address),
    (re.compile(r"(hash|size) mismatch"), _changed),
    # While it is received, and while it is read again for its content address.
    (
        re.compile(r"NAR directory nesting exceeds|exceeds maximum NAR directory depth"),
        _too_deep,
    ),
    (re.compile(r"File name too long|NAR contains invalid file name"), _too_long),
    # A program of a restricted account says it, too, when another one is asked for.
    (re.compile(r"unexpected end-of-file"), _ended),
)

_CONDITIONS: Final[tuple[tuple[re.Pattern[str], Callable[[str, str], NixRemoteError]], ...]] = (
    (re.compile(r"No space left on device|database or disk is full"), ServerDiskFull),
    (re.compile(r"[Dd]isk quota exceeded"), ServerQuotaExceeded),
    (
        re.compile(
            r"readonly database|[Rr]ead-only file system|unable to open database file"
            r"|database directory .* is not writable"
        ),
        ServerStoreReadOnly,
    ),
    (
        # From the process that passes an ordinary user's requests on to the daemon.
        re.compile(
            r"[Dd]aemon disconnected unexpectedly|peer disconnected unexpectedly"
            r"|EOF from daemon socket|Connection reset by peer|Broken pipe"
        ),
        lambda alias, said: ServerEndedSession(alias, "it worked for us", said),
    ),
)

_AT_THE_DOOR: Final[
    tuple[tuple[re.Pattern[str], Optional[Callable[[str, str, str], NixRemoteError]]], ...]
] = (
    (re.compile(r"cannot connect to socket at .*Permission denied"), DaemonSocketClosed),
    # It does not run, or is about to: that can heal.
    (re.compile(r"cannot connect to socket at"), None),
    (
        re.compile(
            r"is not allowed to connect to the Nix daemon|cannot open connection to remote store"
            r"|[Dd]aemon disconnected unexpectedly|peer disconnected unexpectedly|daemon socket"
        ),
        AccountNotAllowed,
    ),
)
