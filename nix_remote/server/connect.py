"""Opens the server's store: makes the SSH connection, then a session over it.

Belongs here: what a caller opens, and how long it lives. Not: which protocol is spoken
(`choose_protocol.py`), how a session is opened over a connection (`opener.py`).
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import Final, Iterator, Optional

from nix_remote import events
from nix_remote.errors import ServerEndedSession
from nix_remote.local.signing import SigningKey
from nix_remote.server import choose_protocol, disk_check
from nix_remote.server.gc_roots import home
from nix_remote.server.nix_errors import Account
from nix_remote.server.opener import Opener
from nix_remote.server.remote_exec import RemoteExec
from nix_remote.server.stores.base import Question, RemoteStore
from nix_remote.server.stores.signing import SigningStore
from nix_remote.settings import Settings
from nix_remote.ssh import connect as ssh_connect
from nix_remote.ssh.config import resolve
from nix_remote.ssh.config.host_config import HostConfig

_NO_QUESTION: Final = Question(())


@contextmanager
def open_remote_exec(
    settings: Settings,
    listener: events.Listener,
    *,
    connector: Optional[ssh_connect.Connector] = None,
) -> Iterator[RemoteExec]:
    """A connection for running programs on the server, for the length of a `with` block.

    For `connector` see `open_store`.
    """
    with _connected(settings, listener, connector) as (_, _, remote_exec):
        yield remote_exec


@contextmanager
def open_store(
    settings: Settings,
    listener: events.Listener,
    first: Question = _NO_QUESTION,
    *,
    key: Optional[SigningKey] = None,
    connector: Optional[ssh_connect.Connector] = None,
) -> Iterator[RemoteStore]:
    """A session with the server's store, for the length of a `with` block.

    `first` is sent together with the greeting, which saves a round trip; the caller asks it
    first. Paths are signed with `key` before they are sent, if a key is given. `connector` must
    be made from the same settings; callers that connect repeatedly pass it.
    """
    with _connected(settings, listener, connector) as (host, connection, remote_exec):
        account, home_question = Account(settings.host, host.user), home.HomeQuestion(remote_exec)
        opener = Opener(settings, account, remote_exec, home_question, listener, first)
        try:
            store, protocol = choose_protocol.open_store(settings.protocol, opener)
            listener(events.Connected(settings.host, f"{connection}; {protocol}"))
            yield store if key is None else SigningStore(store, key)
        except ServerEndedSession as ended:
            cause = disk_check.examine(remote_exec, settings.host)
            cause = cause or choose_protocol.account_error(opener, ended)
            raise cause or ended from None


@contextmanager
def _connected(
    settings: Settings,
    listener: events.Listener,
    connector: Optional[ssh_connect.Connector],
) -> Iterator[tuple[HostConfig, str, RemoteExec]]:
    """The resolved host, a description of the connection, and what runs programs over it."""
    connector = connector or new_connector(settings)
    transport, why = connector.connect()
    try:
        remote_exec = RemoteExec(
            transport,
            alias=settings.host,
            stall_timeout=settings.stall_timeout,
            listener=listener,
        )
        yield connector.config, f"{transport.description}{f' ({why})' if why else ''}", remote_exec
    finally:
        transport.close()


def new_connector(settings: Settings) -> ssh_connect.Connector:
    """For callers that connect repeatedly: the host is resolved here. Raises `SshConfigError`."""
    return ssh_connect.Connector(resolved_host(settings), settings.transport, settings.ssh_config)


def resolved_host(settings: Settings) -> HostConfig:
    """The configuration of the host that the settings name. Raises `SshConfigError`."""
    return resolve.for_this_user(settings.host, settings.ssh_config, settings.environment)
