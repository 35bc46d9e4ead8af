"""The default transport: paramiko, with ciphers and windows chosen for bulk data.

Connecting has five steps (resolve, reach, negotiate, check the host key, log
in); each has a bound, the entry's ConnectTimeout, and an error of its own.
Afterwards the kernel watches the connection.
"""

from __future__ import annotations

import logging
import shlex
import socket
import time
from contextlib import ExitStack, suppress
from typing import Callable, Final, Optional, Sequence

import paramiko

from nix_remote.errors import (
    ConnectionBroken,
    ConnectionTimedOut,
    NegotiationFailed,
    NixRemoteError,
    ProxyFailed,
    ServerBusy,
    SshConfigUnsupported,
)
from nix_remote.ssh.backoff import GIVE_UP_AFTER, pause_after
from nix_remote.ssh.config.host_config import HostConfig
from nix_remote.ssh.paramiko import dial
from nix_remote.ssh.paramiko.auth import authenticate
from nix_remote.ssh.paramiko.dial import Dialed
from nix_remote.ssh.paramiko.handshake import Connection, DroppedBeforeGreeting, handshake
from nix_remote.ssh.paramiko.handshake import reason as _reason
from nix_remote.ssh.paramiko.keepalive import Keepalive
from nix_remote.ssh.paramiko.unsupported import Unsupported
from nix_remote.ssh.transport import POLL_SECONDS, Buffer, Channel, ChannelTimeout
from nix_remote.text import PeerText

_PACKET: Final = 32 * 1024
"""Bytes. OpenSSH takes no larger ones."""
_CHANNEL_REQUEST: Final = bytes([98])
"""SSH_MSG_CHANNEL_REQUEST, RFC 4254."""
_STDERR_TAIL: Final = 4096

# paramiko reports through logging what it also raises; Python would print it.
logging.getLogger("paramiko").addHandler(logging.NullHandler())


def connect(config: HostConfig) -> ParamikoTransport:
    """Connects and logs in.

    Raises `ConnectionFailed`, `HostKeyError` or `AuthenticationError` for what the network or
    the server says, and `Shortfall` for what `ssh` may be able to do.
    """
    if config.needs_openssh:
        reasons = "; ".join(config.needs_openssh)
        raise Unsupported(f"needed for {reasons}", SshConfigUnsupported(config.alias, reasons))
    try:
        connection, unproven, resources = _logged_in(config)
    except (NixRemoteError, Unsupported):
        raise
    except (
        Exception
    ) as error:  # a defect of the library's: it takes no promise that we could rely on
        why = f"{type(error).__name__}: {_reason(error)}"
        raise Unsupported(
            f"paramiko failed with {why}", NegotiationFailed(config.alias, config.address, why)
        ) from error
    return ParamikoTransport(connection, config, unproven, resources)


def _logged_in(config: HostConfig) -> tuple[Connection, str, ExitStack]:
    """The connection, what went without proof, and what has to end after the connection."""
    begun = time.monotonic()
    attempts = 0
    while True:
        attempts += 1
        with ExitStack() as resources:
            reached = _reach(config, resources)
            try:
                connection, unproven = handshake(reached.stream, config, reached.ip)
            except DroppedBeforeGreeting:
                failure = reached.proxy.failure() if reached.proxy is not None else ""
                if failure and config.proxy_command is not None:
                    raise ProxyFailed(config.alias, config.proxy_command, failure) from None
                waited = time.monotonic() - begun
                if waited > GIVE_UP_AFTER:
                    raise ServerBusy(config.alias, config.address, attempts, waited) from None
            else:
                resources.callback(connection.close)
                authenticate(connection, config)
                if config.server_alive_interval:
                    interval, count = config.server_alive_interval, config.server_alive_count_max
                    resources.callback(Keepalive(connection, interval, count).close)
                return connection, unproven, resources.pop_all()
        time.sleep(pause_after(attempts))


def _reach(config: HostConfig, resources: ExitStack) -> Dialed:
    if config.jump is not None:
        hop, _, needed_by_hop = _logged_in(config.jump)
        resources.enter_context(needed_by_hop)
        reached = dial.dial_through(config, hop)
    elif config.proxy_command is not None:
        reached = dial.dial_by_command(config, config.proxy_command)
    else:
        reached = dial.dial(config)
    resources.callback(reached.close)
    return reached


class ParamikoTransport:
    """A connection over paramiko, logged in. Made by `connect`."""

    opens_in_order = True
    """`open` waits for the server to confirm the channel."""

    def __init__(
        self,
        connection: Connection,
        config: HostConfig,
        unproven: str,
        resources: ExitStack,
    ) -> None:
        self._connection = connection
        self._config = config
        self._unproven = unproven
        self._resources = resources

    @property
    def description(self) -> str:
        version = PeerText(self._connection.remote_version.removeprefix("SSH-2.0-"))
        unproven = f", {self._unproven}" if self._unproven else ""
        return f"paramiko, {self._connection.local_cipher}, {version}{unproven}"

    @property
    def shortfall(self) -> str:
        """Why paramiko could not go on with it, in words; empty if it goes on or was cut off."""
        error = self._connection.last_error
        if self._connection.is_active() or error is None or isinstance(error, (OSError, EOFError)):
            return ""
        return f"paramiko could not go on: {_reason(error)}"

    def open(self, command: Sequence[str]) -> Channel:
        seconds = self._config.connect_timeout
        overdue = time.monotonic() + seconds
        try:
            channel = self._connection.open_session(timeout=seconds)
            _request_exec(self._connection, channel, shlex.join(command))
        except Exception as error:  # whatever the library's thread has met
            if time.monotonic() >= overdue:
                raise _not_started(self._config) from None
            raise ConnectionBroken(
                self._config.alias, "starting a command", _reason(error)
            ) from None
        return _ParamikoChannel(channel, self._connection, self._config, overdue)

    def close(self) -> None:
        self._resources.close()


def _request_exec(connection: paramiko.Transport, channel: paramiko.Channel, command: str) -> None:
    """Asks for a command to be run, and does not wait for the answer (RFC 4254, 6.5).

    paramiko's own `exec_command` would, without a bound. The answer shows in
    `channel.event`; a refusal closes the channel.
    """
    send: Optional[Callable[[paramiko.Message], None]]
    send = getattr(connection, "_send_user_message", None)
    if send is None:  # A later paramiko, which has another name for it.
        channel.exec_command(command)
        return
    request = paramiko.Message()
    request.add_byte(_CHANNEL_REQUEST)
    request.add_int(channel.remote_chanid)
    request.add_string("exec")
    request.add_boolean(True)
    request.add_string(command)
    send(request)


def _not_started(config: HostConfig) -> ConnectionTimedOut:
    return ConnectionTimedOut(
        config.alias, config.address, "a command to start", config.connect_timeout
    )


class _ParamikoChannel:
    """`overdue` is when, on the monotonic clock, the command should have been started."""

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
        # A command whose standard error nobody reads blocks in the end.
        self._drain_stderr()
        try:
            data = self._channel.recv(limit)
        except socket.timeout:
            if not self._channel.event.is_set() and time.monotonic() >= self._overdue:
                self._connection.close()
                raise _not_started(self._config) from None
            raise ChannelTimeout from None
        if not data:
            self._drain_stderr()
            self._check_connection()
        return data

    def write(self, data: Buffer) -> int:
        try:
            # paramiko sends one packet of it; copying the rest each time would cost more.
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
            raise ConnectionBroken(self._alias, "a command was running there", why)

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
            # paramiko says goodbye, and does not mind to whom.
            self._channel.close()

    def stderr_tail(self) -> PeerText:
        self._drain_stderr()
        return PeerText(self._stderr)

    def exit_status(self) -> Optional[int]:
        # It arrives a moment after the end of the output.
        self._channel.status_event.wait(POLL_SECONDS)
        if not self._channel.exit_status_ready():
            return None
        status = self._channel.recv_exit_status()
        # paramiko has -1 for a channel that was closed without one.
        return status if status >= 0 else None
