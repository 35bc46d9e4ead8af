"""Chooses the protocol of a session, and diagnoses sessions that end before they begin.

The worker protocol is tried first: it says whether the server trusts us before anything is
sent, rejects paths one by one, and makes durable roots itself. The serve protocol is for
accounts and servers that have nothing else.

Does not belong here: how a session is opened (`opener.py`), which error a message of Nix stands
for (`nix_errors.py`).
"""

from __future__ import annotations

from typing import Final, Optional

from nix_remote.errors import (
    AccountNotAllowed,
    NixRemoteError,
    ServerEndedSession,
    ServerTooOld,
    UnexpectedOutput,
)
from nix_remote.protocol import nix_messages
from nix_remote.server import disk_check
from nix_remote.server.nix_errors import opening_error
from nix_remote.server.opener import Opener
from nix_remote.server.stores.base import RemoteStore
from nix_remote.settings import StoreProtocol

# Errors that can mean that the account runs another program than the one we asked for.
_NOT_SPOKEN: Final = (ServerEndedSession, ServerTooOld, UnexpectedOutput)


def open_store(protocol: StoreProtocol, opener: Opener) -> tuple[RemoteStore, str]:
    """The store, and a description of the session.

    A daemon hangs up on accounts that it does not allow, and one that is killed at this moment
    looks the same. So a session that ends like that is opened a second time.
    """
    try:
        return _choose(protocol, opener)
    except ServerEndedSession as ended:
        if ended.message and opening_error(ended.message, opener.account) is None:
            raise
    try:
        return _choose(protocol, opener)
    except ServerEndedSession as ended:
        # A daemon whose disk is full hangs up as well.
        cause = disk_check.examine(opener.remote_exec, opener.account.alias)
        message = ended.message or _message_over_serve(opener)
        cause = cause or opening_error(message, opener.account)
        raise cause or _silent_exit(opener, ended, message) from None


def account_error(opener: Opener, ended: ServerEndedSession) -> Optional[NixRemoteError]:
    """Why the server does not serve the account, if an open session ended for that reason.

    `nix-store --serve` greets before it asks the daemon. A daemon that is killed in the middle
    causes the same message, so a second session must end in the same way.
    """
    if opening_error(ended.message, opener.account) is None:
        return None
    return opening_error(_message_over_serve(opener), opener.account)


def _choose(protocol: StoreProtocol, opener: Opener) -> tuple[RemoteStore, str]:
    if protocol is StoreProtocol.WORKER:
        return opener.over_worker()
    if protocol is StoreProtocol.SERVE:
        return opener.over_serve()
    try:
        return opener.over_worker()
    except _NOT_SPOKEN as worker_error:
        try:
            store, description = opener.over_serve()
        except NixRemoteError as serve_error:
            raise _more_specific(worker_error, serve_error) from None
        return store, f"{description}, because {worker_error.what}"


def _more_specific(worker: NixRemoteError, serve: NixRemoteError) -> NixRemoteError:
    """Of two failures to open a session, the one with a message."""
    silent = isinstance(worker, ServerEndedSession) and not worker.message
    return serve if silent and _serve_message(serve) else worker


def _silent_exit(opener: Opener, ended: ServerEndedSession, message: str) -> NixRemoteError:
    """The error for a program that has exited twice before it greeted.

    `nix-daemon --stdio` from 2.20 on exits without a message if the daemon does not serve the
    account. An account that may run nothing else cannot get a message from another program.
    """
    if message or not ended.exited:
        return ended
    return AccountNotAllowed(opener.account.alias, opener.account.user, "")


def _message_over_serve(opener: Opener) -> str:
    """The message with which `nix-store --serve` ends, if it cannot be used either.

    `nix-daemon --stdio` from 2.20 on has no message when the daemon hangs up.
    """
    try:
        store, _ = opener.over_serve()
        store.ask(opener.first)
    except NixRemoteError as error:
        return _serve_message(error)
    return ""


def _serve_message(serve: NixRemoteError) -> str:
    """The message of the program for the serve protocol.

    Empty if the program for the worker protocol ran instead, because a forced command allows
    only that one.
    """
    if not isinstance(serve, ServerEndedSession):
        return ""
    return "" if nix_messages.OTHER_PROTOCOL in serve.message else serve.message
