"""The default transport: paramiko, with ciphers and windows for bulk data.

Connecting has five steps: resolve the name, dial, exchange keys, check the host key, log in.
Each is bounded by ConnectTimeout and has errors of its own. Afterwards TCP keepalive ends a
connection to a server that no longer responds.
"""

from __future__ import annotations

import logging
import shlex
import socket
import time
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from typing import Final, Optional, Sequence

import paramiko

from nix_remote.errors import (
    ConnectionBroken,
    ConnectionTimedOut,
    NegotiationFailed,
    NixRemoteError,
    ProxyFailed,
    SshConfigUnsupported,
)
from nix_remote.ssh.backoff import DroppedBeforeGreeting, retry_while_dropped
from nix_remote.ssh.config.host_config import HostConfig
from nix_remote.ssh.paramiko import dial, internals
from nix_remote.ssh.paramiko.auth import authenticate
from nix_remote.ssh.paramiko.dial import ServerStream
from nix_remote.ssh.paramiko.handshake import Connection, handshake
from nix_remote.ssh.paramiko.handshake import reason as _reason
from nix_remote.ssh.paramiko.keepalive import Keepalive
from nix_remote.ssh.paramiko.unsupported import Unsupported
from nix_remote.ssh.transport import POLL_SECONDS, Buffer, Channel, ChannelTimeout
from nix_remote.text import PeerText

_PACKET: Final = 32 * 1024
"""Bytes. OpenSSH accepts no larger ones."""
_STDERR_TAIL: Final = 4096

# paramiko logs the exceptions that it raises, and Python would print them.
logging.getLogger("paramiko").addHandler(logging.NullHandler())


def connect(config: HostConfig) -> ParamikoTransport:
    """Connects and logs in.

    Raises `ConnectionFailed`, `HostKeyError` or `AuthenticationError` for failures of the network
    and refusals of the server, and `Unsupported` where `ssh` may succeed.
    """
    if config.needs_openssh:
        reasons = "; ".join(config.needs_openssh)
        raise Unsupported(f"needed for {reasons}", SshConfigUnsupported(config.alias, reasons))
    try:
        return ParamikoTransport(_log_in(config), config)
    except (NixRemoteError, Unsupported):
        raise
    except Exception as error:  # a defect of paramiko
        why = f"{type(error).__name__}: {_reason(error)}"
        raise Unsupported(
            f"paramiko failed with {why}", NegotiationFailed(config.alias, config.address, why)
        ) from error


@dataclass(frozen=True)
class Login:
    """A connection that is logged in."""

    connection: Connection
    unverified: str = ""
    """What was accepted of the host key without verification, in words."""
    resources: ExitStack = field(default_factory=ExitStack)
    """What to close, the connection first."""


def _log_in(config: HostConfig) -> Login:
    return retry_while_dropped(lambda: _try_to_log_in(config), config.alias, config.address)


def _try_to_log_in(config: HostConfig) -> Login:
    with ExitStack() as resources:
        dialed = _dial(config, resources)
        try:
            connection, unverified = handshake(dialed.stream, config, dialed.ip)
        except DroppedBeforeGreeting:
            failure = dialed.proxy.failure() if dialed.proxy is not None else ""
            if failure and config.proxy_command is not None:
                raise ProxyFailed(config.alias, config.proxy_command, failure) from None
            raise
        resources.callback(connection.close)
        authenticate(connection, config)
        if config.server_alive_interval:
            interval, count = config.server_alive_interval, config.server_alive_count_max
            resources.callback(Keepalive(connection, interval, count).close)
        return Login(connection, unverified, resources.pop_all())


def _dial(config: HostConfig, resources: ExitStack) -> ServerStream:
    if config.jump is not None:
        jump = _log_in(config.jump)
        resources.enter_context(jump.resources)
        dialed = dial.dial_through(config, jump.connection)
    elif config.proxy_command is not None:
        dialed = dial.dial_by_command(config, config.proxy_command)
    else:
        dialed = dial.dial(config)
    resources.callback(dialed.close)
    return dialed


class ParamikoTransport:
    """A connection over paramiko, logged in; see `connect`."""

    opens_in_order = True
    """`open` waits until the server has confirmed the channel."""

    def __init__(self, login: Login, config: HostConfig) -> None:
        self._connection = login.connection
        self._login = login
        self._config = config

    @property
    def description(self) -> str:
        software = PeerText(self._connection.server_software)
        unverified = f", {self._login.unverified}" if self._login.unverified else ""
        return f"paramiko, {self._connection.cipher}, {software}{unverified}"

    @property
    def why_unsupported(self) -> str:
        """Why paramiko ended the connection; empty if it is open or the network ended it."""
        error = self._connection.last_error
        if self._connection.is_active() or error is None or isinstance(error, (OSError, EOFError)):
            return ""
        return f"paramiko ended the connection: {_reason(error)}"

    def open(self, command: Sequence[str]) -> Channel:
        seconds = self._config.connect_timeout
        overdue = time.monotonic() + seconds
        try:
            channel = self._connection.open_session(timeout=seconds)
            self._connection.request_exec(channel, shlex.join(command))
        except Exception as error:  # any that paramiko's thread raised
            if time.monotonic() >= overdue:
                raise _not_started(self._config) from None
            raise ConnectionBroken(
                self._config.alias, "starting a command", _reason(error)
            ) from None
        return _ParamikoChannel(channel, self._connection, self._config, overdue)

    def close(self) -> None:
        self._login.resources.close()


def _not_started(config: HostConfig) -> ConnectionTimedOut:
    return ConnectionTimedOut(
        config.alias, config.address, "a command to start", config.connect_timeout
    )


class _ParamikoChannel:
    """`overdue` is the time, on the monotonic clock, until which the command must start."""

    def __init__(
        self,
        channel: paramiko.Channel,
        connection: paramiko.Transport,
        config: HostConfig,
        overdue: float,
    ) -> None:
        channel.settimeout(POLL_SECONDS)
        self._channel = channel
        self._connection = connection
        self._config = config
        self._alias = config.alias
        self._overdue = overdue
        self._stderr = b""

    def read(self, limit: int) -> bytes:
        # Unread standard error eventually blocks the command.
        self._drain_stderr()
        try:
            data = self._channel.recv(limit)
        except socket.timeout:
            if not internals.is_exec_confirmed(self._channel) and time.monotonic() >= self._overdue:
                self._connection.close()
                raise _not_started(self._config) from None
            raise ChannelTimeout from None
        if not data:
            self._drain_stderr()
            self._check_connection()
        return data

    def write(self, data: Buffer) -> int:
        try:
            # paramiko sends one packet for each call: copying more is wasted.
            sent = self._channel.send(bytes(data[:_PACKET]))
        except socket.timeout:
            raise ChannelTimeout from None
        except (OSError, EOFError) as error:
            self._check_connection()
            raise ConnectionBroken(self._alias, "sending", _reason(error)) from None
        if sent == 0:
            raise ConnectionBroken(self._alias, "sending", "the command has ended")
        return sent

    def _check_connection(self) -> None:
        if not self._connection.is_active():
            error = self._connection.get_exception()
            why = _reason(error) if error is not None else "it was closed"
            raise ConnectionBroken(self._alias, "a command was running", why)

    def _drain_stderr(self) -> None:
        while self._channel.recv_stderr_ready():
            piece = self._channel.recv_stderr(_STDERR_TAIL)
            if not piece:
                break
            self._stderr = (self._stderr + piece)[-_STDERR_TAIL:]

    def close_write(self) -> None:
        try:
            self._channel.shutdown_write()
        except (OSError, EOFError) as error:
            raise ConnectionBroken(self._alias, "sending", _reason(error)) from None

    def close(self) -> None:
        with suppress(paramiko.SSHException, OSError, EOFError):
            # paramiko sends a message, even over a connection that has ended.
            self._channel.close()

    def stderr_tail(self) -> PeerText:
        self._drain_stderr()
        return PeerText(self._stderr)

    def exit_status(self) -> Optional[int]:
        # It arrives a moment after the end of the output.
        return internals.exit_status(self._channel, POLL_SECONDS)
