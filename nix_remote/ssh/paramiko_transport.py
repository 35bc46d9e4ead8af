"""The default transport: paramiko, with ciphers and windows chosen for bulk data.

Connecting has five steps (resolve, reach, negotiate, check the host key, log
in); each has a bound, the entry's ConnectTimeout, and an error of its own.
Afterwards the kernel watches the connection.
"""

from __future__ import annotations

import logging
import random
import shlex
import socket
import threading
import time
from contextlib import ExitStack
from typing import Final, Optional, Sequence

import paramiko

from nix_remote.errors import (
    ConnectionBroken,
    ConnectionTimedOut,
    ProxyFailed,
    ServerBusy,
    SshConfigUnsupported,
)
from nix_remote.ssh import reaching
from nix_remote.ssh.config import HostConfig
from nix_remote.ssh.liveness import Liveness
from nix_remote.ssh.login import log_in
from nix_remote.ssh.negotiation import Connection, DroppedBeforeGreeting, negotiate
from nix_remote.ssh.negotiation import reason as _reason
from nix_remote.ssh.reaching import Reached
from nix_remote.ssh.transport import POLL_SECONDS, Buffer, Channel, ChannelTimeout

_PATIENCE: Final = 30.0
"""Seconds to go on trying while the server closes connections before its greeting."""

_LONGEST_PAUSE: Final = 4.0
_STDERR_TAIL: Final = 4096

# paramiko reports through logging what it also raises; Python would print it.
logging.getLogger("paramiko").addHandler(logging.NullHandler())


def connect(config: HostConfig) -> ParamikoTransport:
    """Connects and logs in.

    Raises `SshConfigUnsupported`, `ConnectionFailed`, `HostKeyError` or `AuthenticationError`.
    """
    reasons = config.needs_openssh
    if reasons:
        raise SshConfigUnsupported(config.alias, "; ".join(reasons))
    connection, unproven, resources = _logged_in(config)
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
                connection, unproven = negotiate(reached.stream, config, reached.ip)
            except DroppedBeforeGreeting:
                failure = reached.proxy.failure() if reached.proxy is not None else ""
                if failure and config.proxy_command is not None:
                    raise ProxyFailed(config.alias, config.proxy_command, failure) from None
                waited = time.monotonic() - begun
                if waited > _PATIENCE:
                    raise ServerBusy(config.alias, config.address, attempts, waited) from None
            else:
                resources.callback(connection.close)
                log_in(connection, config)
                if config.server_alive_interval:
                    interval, count = config.server_alive_interval, config.server_alive_count_max
                    resources.callback(Liveness(connection, interval, count).close)
                return connection, unproven, resources.pop_all()
        # By chance, lest all that were sent away together come back together.
        time.sleep(random.uniform(0.5, 1.5) * min(0.1 * 2**attempts, _LONGEST_PAUSE))


def _reach(config: HostConfig, resources: ExitStack) -> Reached:
    if config.jump is not None:
        hop, _, needed_by_hop = _logged_in(config.jump)
        resources.enter_context(needed_by_hop)
        reached = reaching.through(config, hop)
    elif config.proxy_command is not None:
        reached = reaching.by_command(config, config.proxy_command)
    else:
        reached = reaching.directly(config)
    resources.callback(reached.close)
    return reached


class ParamikoTransport:
    """A connection over paramiko, logged in. Made by `connect`."""

    def __init__(
        self,
        connection: paramiko.Transport,
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
        version = self._connection.remote_version.removeprefix("SSH-2.0-")
        unproven = f", {self._unproven}" if self._unproven else ""
        return f"paramiko, {self._connection.local_cipher}, {version}{unproven}"

    def open(self, command: Sequence[str]) -> Channel:
        alias, seconds = self._config.alias, self._config.connect_timeout
        # paramiko itself would wait for ever for the answer to "run this".
        overdue = threading.Event()

        def give_up() -> None:
            overdue.set()
            self._connection.close()

        watchdog = threading.Timer(seconds, give_up)
        watchdog.start()
        try:
            channel = self._connection.open_session(timeout=seconds)
            channel.exec_command(shlex.join(command))
        except (paramiko.SSHException, OSError, EOFError) as error:
            if overdue.is_set():
                raise ConnectionTimedOut(
                    alias, self._config.address, "a command to start", seconds
                ) from None
            raise ConnectionBroken(alias, "starting a command", _reason(error)) from None
        finally:
            watchdog.cancel()
        return _ParamikoChannel(channel, self._connection, alias)

    def close(self) -> None:
        self._resources.close()


class _ParamikoChannel:
    def __init__(
        self, channel: paramiko.Channel, connection: paramiko.Transport, alias: str
    ) -> None:
        channel.settimeout(POLL_SECONDS)
        self._channel = channel
        self._connection = connection
        self._alias = alias
        self._stderr = b""

    def read(self, limit: int) -> bytes:
        # A command whose standard error nobody reads blocks in the end.
        self._drain_stderr()
        try:
            data = self._channel.recv(limit)
        except socket.timeout:
            raise ChannelTimeout from None
        if not data:
            self._drain_stderr()
            self._check_connection()
        return data

    def write(self, data: Buffer) -> int:
        try:
            sent = self._channel.send(bytes(data))
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
        self._channel.close()

    def stderr_tail(self) -> str:
        self._drain_stderr()
        return self._stderr.decode(errors="replace")

    def exit_status(self) -> Optional[int]:
        # It arrives a moment after the end of the output.
        self._channel.status_event.wait(POLL_SECONDS)
        if not self._channel.exit_status_ready():
            return None
        return self._channel.recv_exit_status()
