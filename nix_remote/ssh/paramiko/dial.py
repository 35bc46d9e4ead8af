"""A stream of bytes to the server's SSH port: directly, by a `ProxyCommand`, or through a hop."""

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
"""What OpenSSH's server says of the port that it was to connect to."""


class Hop(Protocol):
    """A connection to the host to go through, logged in."""

    def open_channel(
        self, kind: str, dest_addr: tuple[str, int], src_addr: tuple[str, int], *, timeout: float
    ) -> paramiko.Channel:
        """See `paramiko.Transport`."""

    @property
    def said_of_channel(self) -> str:
        """Why the host has refused a channel, in its words; empty if it has not said."""


@dataclass
class Dialed:
    """A stream, and everything that has to end with it."""

    stream: Any
    """A socket, or what paramiko takes for one."""
    ip: Optional[str] = None
    """The address at the other end, if it is the server's."""
    proxy: Optional[Attached] = None
    resources: ExitStack = field(default_factory=ExitStack)

    def close(self) -> None:
        """Ends it all."""
        self.stream.close()
        self.resources.close()


def dial(config: HostConfig) -> Dialed:
    """By TCP. Raises `ConnectionFailed`."""
    for attempt in range(max(config.connection_attempts, 1)):
        if attempt:
            time.sleep(_BETWEEN_ATTEMPTS)
        try:
            stream = _connected(config)
            return Dialed(stream, ip=str(stream.getpeername()[0]))
        except (ConnectionRefused, ConnectionTimedOut, HostUnreachable) as error:
            refusal = error
    raise refusal


def _connected(config: HostConfig) -> socket.socket:
    try:
        # Looked up apart from connecting, so that each failure says what it is.
        addresses = socket.getaddrinfo(
            # As bytes: Python would change a name that is not ASCII, or refuse a long one.
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
        except OSError as error:  # a family that this machine does not have
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
        _watch(candidate)
        return candidate
    raise _not_reached(config, refusals)


def _not_reached(config: HostConfig, refusals: Sequence[OSError]) -> NixRemoteError:
    """The error for what the host's addresses have answered; which of them says most counts."""
    if any(refusal.errno == errno.ECONNREFUSED for refusal in refusals):
        return ConnectionRefused(config.alias, config.address, os.strerror(errno.ECONNREFUSED))
    if any(isinstance(refusal, (socket.timeout, TimeoutError)) for refusal in refusals):
        return ConnectionTimedOut(
            config.alias, config.address, "the connection", config.connect_timeout
        )
    why = [refusal.strerror or str(refusal) for refusal in refusals] or ["it has no address"]
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


def _watch(connection: socket.socket) -> None:
    """Lets the kernel end a connection whose other end is gone."""
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in (
        ("TCP_KEEPIDLE", _DEAD_AFTER // 4),
        ("TCP_KEEPINTVL", _DEAD_AFTER // 4),
        ("TCP_KEEPCNT", 3),
        ("TCP_USER_TIMEOUT", _DEAD_AFTER * 1000),
    ):
        if hasattr(socket, option):  # not on every system
            connection.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), value)


def dial_by_command(config: HostConfig, command: str) -> Dialed:
    """By a `ProxyCommand`, whose input and output are the stream. Raises `ProxyFailed`."""
    ours, theirs = socket.socketpair()
    reached = Dialed(ours)
    try:
        shell = [config.shell, "-c", f"exec {command}"]
        reached.proxy = reached.resources.enter_context(attached(shell, theirs, config.environment))
    except ProcessFailed as error:
        ours.close()
        raise ProxyFailed(config.alias, command, str(error)) from None
    finally:
        theirs.close()
    return reached


def dial_through(config: HostConfig, hop: Hop) -> Dialed:
    """Through a host that is connected already. Raises `ConnectionFailed`."""
    assert config.jump is not None
    try:
        stream = hop.open_channel(
            "direct-tcpip",
            (config.hostname, config.port),
            ("127.0.0.1", 0),
            timeout=config.connect_timeout,
        )
    except paramiko.ChannelException as error:
        words = ": ".join(filter(None, (error.text, hop.said_of_channel)))
        why = f"{config.jump.alias} does not connect us to it: {words}"
        kind = ConnectionRefused if _REFUSED in words else HostUnreachable
        raise kind(config.alias, config.address, why) from None
    except (paramiko.SSHException, OSError, EOFError) as error:
        if "imeout" in str(error):
            waiting_for = f"{config.jump.alias} to connect us to it"
            raise ConnectionTimedOut(
                config.alias, config.address, waiting_for, config.connect_timeout
            ) from None
        doing = f"{config.jump.alias} connected us to it"
        raise ConnectionBroken(config.alias, doing, str(error)) from None
    return Dialed(stream)
