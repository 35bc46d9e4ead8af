"""Maps messages of Nix on the server to our errors. Pure: a message in, an error out.

A message that `protocol/nix_messages.py` does not know becomes `PathRefused` or
`ServerEndedSession`, which quote it.

Belongs here: the error for each meaning. Not: the patterns of messages, retries.
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
    """A path that was valid on the server, or had been sent, is no longer valid: send it again."""


@dataclass(frozen=True)
class Account:
    """The account on the server."""

    alias: str
    user: str

    @property
    def is_root(self) -> bool:
        """Whether the account is root, which may do anything to the store."""
        return self.user == "root"


def lacks_signature(message: str) -> bool:
    """Whether the server rejected a path because no trusted key has signed it."""
    return match(ADDING_A_PATH, message) is Meaning.SIGNATURE_LACKING


def reference_vanished(message: str) -> bool:
    """Whether a program or a session failed because a path is no longer valid."""
    return match(ADDING_A_PATH, message) is Meaning.NOT_VALID


def path_error(message: str, account: Account, info: PathInfo) -> Exception:
    """The error for a message about a path that was to be added."""
    meaning = match(ADDING_A_PATH, message)
    if meaning is not None:
        return _PATH_ERRORS[meaning](message, account, info)
    return store_error(message, account.alias) or PathRefused(account.alias, info.path, message)


def store_error(message: str, alias: str) -> Optional[NixRemoteError]:
    """The error for a message about the whole store, which any request can cause; else None."""
    meaning = match(STORE_STATE, message)
    return None if meaning is None else _STORE_ERRORS[meaning](alias, message)


def opening_error(message: str, account: Account) -> Optional[NixRemoteError]:
    """The error for a session that ended with `message` before it began; None if unknown.

    A daemon that was killed at this moment causes the same message as one that does not allow
    the account. So call this only when a second session has ended like the first one.
    """
    meaning = match(OPENING_A_SESSION, message)
    if meaning is Meaning.SOCKET_CLOSED:
        return DaemonSocketClosed(account.alias, account.user, message)
    if meaning is Meaning.NOT_ALLOWED:
        return AccountNotAllowed(account.alias, account.user, message)
    if meaning is Meaning.NOT_REACHED:
        return DaemonNotReached(account.alias, account.user, message)
    # A daemon that does not run may be starting, so the copy is retried.
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
        alias, "it handled a request", message
    ),
}
