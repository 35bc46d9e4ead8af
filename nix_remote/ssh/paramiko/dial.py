"""A byte stream to the server's SSH port: by TCP, a `ProxyCommand`, or a jump host."""

from __future__ import annotations

import errno
import os
import socket
import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any, Final, Optional, Protocol, Sequence

import paramiko

from nix_remote.errors import (
    ConnectionBroken,
    ConnectionRefused,
    ConnectionTimedOut,
    HostNotFound,
    HostUnreachable,
    NixRemoteError,
    ProxyFailed,
)
from nix_remote.processes import Attached, ProcessFailed, attached
from nix_remote.ssh.config.host_config import HostConfig

_DEAD_AFTER: Final = 60
_BETWEEN_ATTEMPTS: Final = 1.0
_REFUSED: Final = "Connection refused"
"""The reason that sshd gives for a channel to a closed port."""


class JumpHost(Protocol):
    """A connection to a jump host, logged in."""

    def open_channel(
        self, kind: str, dest_addr: tuple[str, int], src_addr: tuple[str, int], *, timeout: float
    ) -> paramiko.Channel:
        """See `paramiko.Transport`."""

    @property
    def channel_refusal(self) -> str:
        """Why the host refused a channel, in its words; empty if it has refused none."""


@dataclass
class ServerStream:
    """A byte stream to the server, and the resources to release with it."""

    stream: Any
    """A socket, or a channel of paramiko's."""
    ip: Optional[str] = None
    """The server's address, if it is known."""
    proxy: Optional[Attached] = None
    resources: ExitStack = field(default_factory=ExitStack)

    def close(self) -> None:
        """Closes the stream and releases the resources."""
        self.stream.close()
        self.resources.close()


def dial(config: HostConfig) -> ServerStream:
    """Connects by TCP. Raises `ConnectionFailed`."""
    for attempt in range(max(config.connection_attempts, 1)):
        if attempt:
            time.sleep(_BETWEEN_ATTEMPTS)
        try:
            stream = _connected(config)
            return ServerStream(stream, ip=str(stream.getpeername()[0]))
        except (ConnectionRefused, ConnectionTimedOut, HostUnreachable) as error:
            refusal = error
    raise refusal


def _connected(config: HostConfig) -> socket.socket:
    try:
        # Resolved separately, so that a failure has an error of its own.
        addresses = socket.getaddrinfo(
            # As bytes: Python changes a name that is not ASCII and refuses a long one.
            os.fsencode(config.hostname),
            config.port,
            config.address_family,
            socket.SOCK_STREAM,
        )
    except (OSError, ValueError):
        raise HostNotFound(config.alias, config.hostname, config.entry_found_in) from None
    refusals: list[OSError] = []
    for family, kind, protocol, _, address in addresses:
        try:
            candidate = socket.socket(family, kind, protocol)
        except OSError as error:  # an address family that this machine does not support
            refusals.append(error)
            continue
        candidate.settimeout(config.connect_timeout)
        try:
            _bind(candidate, config)
            candidate.connect(address)
        except OSError as error:
            candidate.close()
            refusals.append(error)
            continue
        except BaseException:
            candidate.close()
            raise
        _enable_keepalive(candidate)
        return candidate
    raise _not_reached(config, refusals)


def _not_reached(config: HostConfig, refusals: Sequence[OSError]) -> NixRemoteError:
    """The error for the failures of all addresses of a host; the most specific one counts."""
    if any(refusal.errno == errno.ECONNREFUSED for refusal in refusals):
        return ConnectionRefused(config.alias, config.address, os.strerror(errno.ECONNREFUSED))
    if any(isinstance(refusal, (socket.timeout, TimeoutError)) for refusal in refusals):
        return ConnectionTimedOut(
            config.alias, config.address, "the connection", config.connect_timeout
        )
    why = [refusal.strerror or str(refusal) for refusal in refusals] or ["the host has no address"]
    return HostUnreachable(config.alias, config.address, "; ".join(dict.fromkeys(why)))


def _bind(candidate: socket.socket, config: HostConfig) -> None:
    if config.bind_address is None:
        return
    try:
        name = os.fsencode(config.bind_address)
        found = socket.getaddrinfo(name, 0, candidate.family, socket.SOCK_STREAM)
        candidate.bind(found[0][4])
    except OSError as error:
        why = f"BindAddress {config.bind_address}: {error.strerror}"
        raise HostUnreachable(config.alias, config.address, why) from None


def _enable_keepalive(connection: socket.socket) -> None:
    """Makes the kernel end a connection to a server that no longer responds."""
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in (
        ("TCP_KEEPIDLE", _DEAD_AFTER // 4),
        ("TCP_KEEPINTVL", _DEAD_AFTER // 4),
        ("TCP_KEEPCNT", 3),
        ("TCP_USER_TIMEOUT", _DEAD_AFTER * 1000),
    ):
        if hasattr(socket, option):  # depends on the operating system
            connection.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), value)


def dial_by_command(config: HostConfig, command: str) -> ServerStream:
    """Runs a `ProxyCommand`, whose input and output are the stream. Raises `ProxyFailed`."""
    ours, theirs = socket.socketpair()
    dialed = ServerStream(ours)
    try:
        shell = [config.shell, "-c", f"exec {command}"]
        dialed.proxy = dialed.resources.enter_context(attached(shell, theirs, config.environment))
    except ProcessFailed as error:
        ours.close()
        raise ProxyFailed(config.alias, command, str(error)) from None
    finally:
        theirs.close()
    return dialed


def dial_through(config: HostConfig, jump: JumpHost) -> ServerStream:
    """Opens a channel through a jump host. Raises `ConnectionFailed`."""
    assert config.jump is not None
    try:
        stream = jump.open_channel(
            "direct-tcpip",
            (config.hostname, config.port),
            ("127.0.0.1", 0),
            timeout=config.connect_timeout,
        )
    except paramiko.ChannelException as error:
        words = ": ".join(filter(None, (error.text, jump.channel_refusal)))
        why = f"{config.jump.alias} cannot connect to it: {words}"
        kind = ConnectionRefused if _REFUSED in words else HostUnreachable
        raise kind(config.alias, config.address, why) from None
    except (paramiko.SSHException, OSError, EOFError) as error:
        if "imeout" in str(error):
            waiting_for = f"{config.jump.alias} to connect to it"
            raise ConnectionTimedOut(
                config.alias, config.address, waiting_for, config.connect_timeout
            ) from None
        doing = f"{config.jump.alias} connected to it"
        raise ConnectionBroken(config.alias, doing, str(error)) from None
    return ServerStream(stream)
