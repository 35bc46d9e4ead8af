"""The SSH handshake: key exchange with the config's algorithms, and the host key check."""

from __future__ import annotations

import socket
from typing import Any, Optional, Sequence

from nix_remote.errors import (
    ConnectionBroken,
    ConnectionTimedOut,
    HostKeyError,
    NegotiationFailed,
    NixRemoteError,
)
from nix_remote.ssh import host_key_check
from nix_remote.ssh.backoff import DroppedBeforeGreeting
from nix_remote.ssh.config.host_config import HostConfig
from nix_remote.ssh.greeting import is_of_busy_server, no_greeting
from nix_remote.ssh.keys import algorithms
from nix_remote.ssh.paramiko.internals import OpenTransport
from nix_remote.ssh.paramiko.unsupported import Unsupported


class Connection(OpenTransport):
    """A connection with the algorithms that the config selects."""

    def __init__(self, stream: Any, config: HostConfig) -> None:
        signatures = map(algorithms.plain_kind, algorithms.user_keys(config.algorithms))
        super().__init__(stream, host_key_check.preferred(config), tuple(dict.fromkeys(signatures)))
        options = self.get_security_options()
        options.ciphers = _only(algorithms.ciphers(config.algorithms), options.ciphers)
        options.digests = _only(algorithms.macs(config.algorithms), options.digests)
        options.kex = _only(algorithms.key_exchanges(config.algorithms), options.kex)
        self.use_compression(config.compression)
        self.banner_timeout = config.connect_timeout
        self.auth_timeout = config.connect_timeout

    def was_dropped(self) -> bool:
        """Whether the server closed the connection before its greeting, as a busy sshd does."""
        return not self.has_greeted and is_of_busy_server(self.lines_before_greeting)


def handshake(stream: Any, config: HostConfig, ip: Optional[str]) -> tuple[Connection, str]:
    """An encrypted connection over `stream` to a server whose host key is accepted.

    `ip` is the server's address, if it is known. Also returns what was accepted without
    verification, in words. Raises `ConnectionTimedOut`, `HostKeyError`,
    `DroppedBeforeGreeting`, `Unsupported`.
    """
    connection = Connection(stream, config)
    try:
        _exchange_keys(connection, config)
        return connection, _check_host_key(connection, config, ip)
    except BaseException:
        connection.close()
        raise


def _exchange_keys(connection: Connection, config: HostConfig) -> None:
    try:
        connection.start_client(timeout=config.connect_timeout)
    except Exception as error:  # any that paramiko's thread raised
        raise _failure(connection, config, error) from None
    if not connection.has_keys:
        waiting_for = "the key exchange" if connection.has_greeted else "an SSH greeting"
        raise ConnectionTimedOut(config.alias, config.address, waiting_for, config.connect_timeout)


def _failure(connection: Connection, config: HostConfig, error: Exception) -> Exception:
    """The error for an exception during the key exchange."""
    cause = error.__context__ or error
    late = isinstance(cause, socket.timeout)
    cut = isinstance(cause, (OSError, EOFError))
    if cut and not late and connection.was_dropped():
        return DroppedBeforeGreeting()
    failure: NixRemoteError
    if late:
        failure = ConnectionTimedOut(
            config.alias, config.address, "an SSH greeting", config.connect_timeout
        )
        # paramiko waits 2 seconds for each line before the greeting but the first.
        if not connection.lines_before_greeting:
            return failure
    elif cut and (connection.has_greeted or not connection.lines_before_greeting):
        failure = ConnectionBroken(config.alias, "negotiating", reason(cause))
    elif cut:
        why = no_greeting(connection.lines_before_greeting)
        failure = NegotiationFailed(config.alias, config.address, why)
    else:
        failure = NegotiationFailed(config.alias, config.address, reason(error))
    return Unsupported(f"paramiko cannot negotiate: {failure.why}", failure)


def _check_host_key(connection: Connection, config: HostConfig, ip: Optional[str]) -> str:
    """Returns what was accepted without verification, in words."""
    try:
        return host_key_check.check(config, connection.get_remote_server_key(), ip)
    except HostKeyError as refusal:
        why = host_key_check.needs_openssh(config)
        if not why:
            raise
        raise Unsupported(why, refusal) from None


def _only(wanted: tuple[str, ...], available: Sequence[str]) -> tuple[str, ...]:
    return tuple(name for name in wanted if name in available)


def reason(error: BaseException) -> str:
    """The message of an exception of a library or the operating system."""
    if isinstance(error, EOFError):
        return "the server closed the connection"
    return str(error) or type(error).__name__
