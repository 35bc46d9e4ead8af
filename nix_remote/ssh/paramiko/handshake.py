"""The SSH connection before anybody logs in.

paramiko with the algorithms that the config asks for, and the server's host key checked.
"""

from __future__ import annotations

import re
import socket
from typing import Any, Final, Optional, Sequence

import paramiko
from paramiko.packet import Packetizer

from nix_remote.errors import (
    ConnectionBroken,
    ConnectionTimedOut,
    HostKeyError,
    NegotiationFailed,
    NixRemoteError,
)
from nix_remote.ssh import host_key_check
from nix_remote.ssh.config.host_config import HostConfig
from nix_remote.ssh.keys import algorithms
from nix_remote.ssh.keys.algorithms import CERTIFICATE
from nix_remote.ssh.paramiko.unsupported import Unsupported

_WINDOW: Final = 16 * 1024 * 1024
_LONGEST_PACKET: Final = 256 * 1024
"""Bytes; OpenSSH's own limit. paramiko has none."""
_BEFORE_GREETING: Final = "Banner: "
_GOODBYE: Final = "Disconnect "
_NO_CHANNEL: Final = re.compile(r"Secsh channel \d+ open FAILED: (.*): [^:]*", re.S)
# Older ones close without a word.
_WORDS_OF_A_BUSY_SERVER: Final = ("", "Exceeded MaxStartups", "Not allowed at this time")


class DroppedBeforeGreeting(Exception):
    """The server closed the connection at once: too many are logging in (`MaxStartups`)."""


class _BoundedPackets(Packetizer):
    """Refuses packets that no correct server sends, before memory is taken for them."""

    def read_all(self, n: int, check_rekey: bool = False) -> bytes:
        if n > _LONGEST_PACKET:
            raise paramiko.SSHException(f"the server announced a packet of {n} bytes")
        data: bytes = super().read_all(n, check_rekey)
        return data


class Connection(paramiko.Transport):
    """paramiko's transport, with lists of algorithms of its own."""

    def __init__(self, stream: Any, config: HostConfig) -> None:
        super().__init__(stream, default_window_size=_WINDOW, packetizer_class=_BoundedPackets)
        self._host_key_kinds = host_key_check.preferred(config)
        self._user_key_kinds = algorithms.user_keys(config.algorithms)
        options = self.get_security_options()
        options.ciphers = _only(algorithms.ciphers(config.algorithms), options.ciphers)
        options.digests = _only(algorithms.macs(config.algorithms), options.digests)
        options.kex = _only(algorithms.key_exchanges(config.algorithms), options.kex)
        self.use_compression(config.compression)
        self.banner_timeout = config.connect_timeout
        self.auth_timeout = config.connect_timeout
        self._said = ""
        self._goodbye = ""
        self.said_of_channel = ""
        """Why the server has refused a channel, in its words."""
        self.last_error: Optional[Exception] = None
        """What the library's thread ended with, once somebody has asked."""

    @property
    def preferred_keys(self) -> tuple[str, ...]:
        """Host keys and certificates; paramiko would put all certificates last."""
        return self._host_key_kinds

    @property
    def preferred_pubkeys(self) -> tuple[str, ...]:
        """With what an RSA key may sign."""
        kinds = (kind.removesuffix(CERTIFICATE) for kind in self._user_key_kinds)
        return tuple(dict.fromkeys(kinds))

    def was_dropped(self) -> bool:
        """Whether the server closed the connection instead of greeting, because it is busy."""
        return not self.remote_version and self._said.strip() in _WORDS_OF_A_BUSY_SERVER

    @property
    def said_first(self) -> str:
        """What the server has said before its greeting, or instead of one."""
        return self._said

    def said_goodbye(self) -> bool:
        """Whether the server ended the connection on purpose, and not some fault between."""
        return bool(self._goodbye)

    def get_exception(self) -> Optional[Exception]:
        """See `paramiko.Transport`, which forgets it then."""
        error = super().get_exception()
        self.last_error = error or self.last_error
        return error

    def _log(self, level: int, message: object, *arguments: object) -> None:
        # The only place where it shows what a server says in words.
        if str(message).startswith(_BEFORE_GREETING):
            self._said += str(message).removeprefix(_BEFORE_GREETING) + "\n"
        if str(message).startswith(_GOODBYE):
            self._goodbye = str(message)
        no_channel = _NO_CHANNEL.fullmatch(str(message))
        if no_channel:
            self.said_of_channel = no_channel[1]
        super()._log(level, message, *arguments)  # type: ignore[misc]  # it is not in the stubs


def handshake(stream: Any, config: HostConfig, ip: Optional[str]) -> tuple[Connection, str]:
    """An encrypted connection over `stream` to a server that is the one that is meant.

    `ip` is the address connected to, if that is known. Also returns, in words,
    what of the host key went without proof. Raises `ConnectionTimedOut`,
    `HostKeyError`, `DroppedBeforeGreeting`, `Shortfall`.
    """
    connection = Connection(stream, config)
    try:
        _exchange_keys(connection, config)
        return connection, _unproven(connection, config, ip)
    except BaseException:
        connection.close()
        raise


def _exchange_keys(connection: Connection, config: HostConfig) -> None:
    try:
        connection.start_client(timeout=config.connect_timeout)
    except Exception as error:  # whatever the library's thread has met
        raise _failure(connection, config, error) from None
    if not connection.initial_kex_done:
        waiting_for = "the key exchange" if connection.remote_version else "an SSH greeting"
        raise ConnectionTimedOut(config.alias, config.address, waiting_for, config.connect_timeout)


def _failure(connection: Connection, config: HostConfig, error: Exception) -> Exception:
    """What an exception during the negotiation means."""
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
        # paramiko gives the second and every further line before the greeting 2 seconds.
        if not connection.said_first:
            return failure
    elif cut and (connection.remote_version or not connection.said_first):
        failure = ConnectionBroken(config.alias, "negotiating", reason(cause))
    elif cut:
        said = no_greeting(connection.said_first)
        failure = NegotiationFailed(config.alias, config.address, said)
    else:
        failure = NegotiationFailed(config.alias, config.address, reason(error))
    return Unsupported(f"paramiko cannot negotiate: {failure.why}", failure)


def no_greeting(said: str) -> str:
    """Why it is no SSH server that says this and closes the connection, in words."""
    line = (said.splitlines() or [""])[0].strip()
    return f"it says {line[:80]!r}, which is no greeting of SSH, and closes the connection"


def _unproven(connection: Connection, config: HostConfig, ip: Optional[str]) -> str:
    """What of the host key went without proof, in words."""
    try:
        return host_key_check.check(config, connection.get_remote_server_key(), ip)
    except HostKeyError as refusal:
        beyond = host_key_check.needs_openssh(config)
        if not beyond:
            raise
        raise Unsupported(beyond, refusal) from None


def _only(wanted: tuple[str, ...], available: Sequence[str]) -> tuple[str, ...]:
    return tuple(name for name in wanted if name in available)


def reason(error: BaseException) -> str:
    """What a foreign exception says, in words."""
    if isinstance(error, EOFError):
        return "the server closed the connection"
    return str(error) or type(error).__name__
