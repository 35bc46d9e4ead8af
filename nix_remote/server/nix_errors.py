"""Which error of ours a server's words stand for. Pure: the text of a refusal in, an error out.

A sentence that `protocol/nix_messages.py` does not know becomes `PathRefused` or `ServerEndedSession`,
which quote it.

Belongs here: errors for meanings. Not: sentences, when they are asked for, or what is tried next.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Callable, Final, Mapping, Optional

from nix_remote.errors import (
    AccountNotAllowed,
    ContentAddressRefused,
    DaemonNotReached,
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
from nix_remote.protocol.nix_messages import (
    ADDING_A_PATH,
    OPENING_A_SESSION,
    STORE_STATE,
    Meaning,
    match,
)
from nix_remote.store.paths import PathInfo


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


def lacks_signature(message: str) -> bool:
    """Whether a server refuses a path because no key that it trusts has signed it."""
    return match(ADDING_A_PATH, message) is Meaning.SIGNATURE_LACKING


def reference_vanished(message: str) -> bool:
    """Whether a program or a session fails because a path is not valid any more."""
    return match(ADDING_A_PATH, message) is Meaning.NOT_VALID


def path_error(message: str, account: Account, info: PathInfo) -> Exception:
    """The error that `message`, message about a path, stands for."""
    meaning = match(ADDING_A_PATH, message)
    if meaning is not None:
        return _PATH_ERRORS[meaning](message, account, info)
    return store_error(message, account.alias) or PathRefused(account.alias, info.path, message)


def store_error(message: str, alias: str) -> Optional[NixRemoteError]:
    """The error for a state of the whole server, which shows in any request; None if it is none."""
    meaning = match(STORE_STATE, message)
    return None if meaning is None else _STORE_ERRORS[meaning](alias, message)


def opening_error(message: str, account: Account) -> Optional[NixRemoteError]:
    """What it means that a session ended with `message` before it began; None if not known.

    A daemon that was killed at this very moment leaves the same words as one that does not
    allow the account: ask this only when a second session has ended like the first one.
    """
    meaning = match(OPENING_A_SESSION, message)
    if meaning is Meaning.SOCKET_CLOSED:
        return DaemonSocketClosed(account.alias, account.user, message)
    if meaning is Meaning.NOT_ALLOWED:
        return AccountNotAllowed(account.alias, account.user, message)
    if meaning is Meaning.NOT_REACHED:
        return DaemonNotReached(account.alias, account.user, message)
    # A daemon that does not run, or is about to, can heal.
    return None


_Maker = Callable[[str, Account, PathInfo], Exception]


def _signature_required(_message: str, account: Account, info: PathInfo) -> Exception:
    signers = ", ".join(signature.partition(":")[0] for signature in info.signatures)
    return SignatureRequired(account.alias, account.user, info.path, signers, 0)


def _vanished(message: str, _account: Account, _info: PathInfo) -> Exception:
    return ReferenceVanished(message)


def _changed(message: str, _account: Account, info: PathInfo) -> Exception:
    return PathContentChanged(info.path, message)


def _content_address(message: str, account: Account, info: PathInfo) -> Exception:
    return ContentAddressRefused(account.alias, info.path, message)


def _too_deep(message: str, account: Account, info: PathInfo) -> Exception:
    return PathTooDeep(account.alias, info.path, message)


def _too_long(message: str, account: Account, info: PathInfo) -> Exception:
    return NameTooLong(account.alias, info.path, message)


def _ended(message: str, account: Account, _info: PathInfo) -> Exception:
    return ServerEndedSession(account.alias, "copying", message)


_PATH_ERRORS: Final[Mapping[Meaning, _Maker]] = {
    Meaning.SIGNATURE_LACKING: _signature_required,
    Meaning.NOT_VALID: _vanished,
    Meaning.OTHER_CONTENT_ADDRESS: _content_address,
    Meaning.OTHER_CONTENT: _changed,
    Meaning.TOO_DEEP: _too_deep,
    Meaning.NAME_TOO_LONG: _too_long,
    Meaning.ENDED: _ended,
}

_STORE_ERRORS: Final[Mapping[Meaning, Callable[[str, str], NixRemoteError]]] = {
    Meaning.DISK_FULL: ServerDiskFull,
    Meaning.QUOTA_EXCEEDED: ServerQuotaExceeded,
    Meaning.READ_ONLY: ServerStoreReadOnly,
    Meaning.DAEMON_ENDED: lambda alias, message: ServerEndedSession(
        alias, "it worked for us", message
    ),
}
