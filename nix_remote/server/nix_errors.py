"""Which error of ours a server's words stand for. Pure: the text of a refusal in, an error out.

A sentence that `protocol/words.py` does not know becomes `PathRefused` or `ServerEndedSession`,
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
from nix_remote.protocol.words import AT_THE_DOOR, OF_A_PATH, OF_THE_STORE, Meaning, first
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
    return first(OF_A_PATH, message) is Meaning.SIGNATURE_LACKING


def reference_vanished(message: str) -> bool:
    """Whether a program or a session fails because a path is not valid any more."""
    return first(OF_A_PATH, message) is Meaning.NOT_VALID


def meaning(message: str, account: Account, info: PathInfo) -> Exception:
    """The error that `message`, said about a path, stands for."""
    said = first(OF_A_PATH, message)
    if said is not None:
        return _OF_A_PATH[said](message, account, info)
    return condition(message, account.alias) or PathRefused(account.alias, info.path, message)


def condition(message: str, alias: str) -> Optional[NixRemoteError]:
    """The error for a state of the whole server, which shows in any request; None if it is none."""
    said = first(OF_THE_STORE, message)
    return None if said is None else _OF_THE_STORE[said](alias, message)


def turned_away(message: str, account: Account) -> Optional[NixRemoteError]:
    """What it means that a session ended with `message` before it began; None if not known.

    A daemon that was killed at this very moment leaves the same words as one that does not
    allow the account: ask this only when a second session has ended like the first one.
    """
    said = first(AT_THE_DOOR, message)
    if said is Meaning.SOCKET_CLOSED:
        return DaemonSocketClosed(account.alias, account.user, message)
    if said is Meaning.NOT_ALLOWED:
        return AccountNotAllowed(account.alias, account.user, message)
    if said is Meaning.NOT_REACHED:
        return DaemonNotReached(account.alias, account.user, message)
    # A daemon that does not run, or is about to, can heal.
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


_OF_A_PATH: Final[Mapping[Meaning, _Maker]] = {
    Meaning.SIGNATURE_LACKING: _signature_required,
    Meaning.NOT_VALID: _vanished,
    Meaning.OTHER_CONTENT_ADDRESS: _content_address,
    Meaning.OTHER_CONTENT: _changed,
    Meaning.TOO_DEEP: _too_deep,
    Meaning.NAME_TOO_LONG: _too_long,
    Meaning.ENDED: _ended,
}

_OF_THE_STORE: Final[Mapping[Meaning, Callable[[str, str], NixRemoteError]]] = {
    Meaning.DISK_FULL: ServerDiskFull,
    Meaning.QUOTA_EXCEEDED: ServerQuotaExceeded,
    Meaning.READ_ONLY: ServerStoreReadOnly,
    Meaning.DAEMON_ENDED: lambda alias, said: ServerEndedSession(alias, "it worked for us", said),
}
