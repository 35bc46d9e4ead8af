"""The SSH connection before anybody logs in.

paramiko with the algorithms that the config asks for, and the server's host key checked.
"""

from __future__ import annotations

import socket
from typing import Any, Final, Optional

import paramiko
from paramiko.packet import Packetizer

from nix_remote.errors import ConnectionBroken, ConnectionTimedOut
from nix_remote.ssh import algorithms, host_keys
from nix_remote.ssh.algorithms import CERTIFICATE
from nix_remote.ssh.config import HostConfig

_WINDOW: Final = 16 * 1024 * 1024
_LONGEST_PACKET: Final = 256 * 1024
"""Bytes; OpenSSH's own limit. paramiko has none."""
_BEFORE_GREETING: Final = "Banner: "
_GOODBYE: Final = "Disconnect "
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
        self._host_key_kinds = host_keys.preferred(config)
        self._user_key_kinds = algorithms.user_keys(config.algorithms)
        options = self.get_security_options()
        options.ciphers = algorithms.ciphers(config.algorithms)
        options.digests = algorithms.macs(config.algorithms)
        wanted = algorithms.key_exchanges(config.algorithms)
        options.kex = tuple(name for name in wanted if name in options.kex)
        self.use_compression(config.compression)
        self.banner_timeout = config.connect_timeout
        self.auth_timeout = config.connect_timeout
        self._said = ""
        self._goodbye = ""

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

    def said_goodbye(self) -> bool:
        """Whether the server ended the connection on purpose, and not some fault between."""
        return bool(self._goodbye)

    def _log(self, level: int, message: object, *arguments: object) -> None:
        # The only place where it shows what a server says instead of a greeting, and at the end.
        if str(message).startswith(_BEFORE_GREETING):
            self._said += str(message).removeprefix(_BEFORE_GREETING)
        if str(message).startswith(_GOODBYE):
            self._goodbye = str(message)
        super()._log(level, message, *arguments)  # type: ignore[misc]  # it is not in the stubs


def negotiate(stream: Any, config: HostConfig, ip: Optional[str]) -> tuple[Connection, str]:
    """An encrypted connection over `stream` to a server that is the one that is meant.

    `ip` is the address connected to, if that is known. Also returns, in words,
    what of the host key went without proof. Raises `ConnectionFailed`,
    `HostKeyError`, `DroppedBeforeGreeting`.
    """
    connection = Connection(stream, config)
    try:
        _exchange_keys(connection, config)
        return connection, host_keys.check(config, connection.get_remote_server_key(), ip)
    except BaseException:
        connection.close()
        raise


def _exchange_keys(connection: Connection, config: HostConfig) -> None:
    try:
        connection.start_client(timeout=config.connect_timeout)
    except (paramiko.SSHException, OSError, EOFError) as error:
        if isinstance(error.__context__, socket.timeout):
            raise ConnectionTimedOut(
                config.alias, config.address, "an SSH greeting", config.connect_timeout
            ) from None
        nonsense = isinstance(error.__context__, UnicodeDecodeError)
        if connection.was_dropped() and not nonsense:
            raise DroppedBeforeGreeting from None
        raise ConnectionBroken(config.alias, "negotiating", reason(error)) from None
    if not connection.initial_kex_done:
        waiting_for = "the key exchange" if connection.remote_version else "an SSH greeting"
        raise ConnectionTimedOut(config.alias, config.address, waiting_for, config.connect_timeout)


def reason(error: BaseException) -> str:
    """What a foreign exception says, in words."""
    if isinstance(error, EOFError):
        return "the server closed the connection"
    return str(error) or type(error).__name__
