"""The default transport: paramiko, with ciphers and windows chosen for bulk data.

Connecting has five steps (resolve, connect, negotiate, check the host key,
log in); each has a bound, the entry's ConnectTimeout, and an error of its own.
Afterwards the kernel watches the connection: a peer that vanished without a
word is noticed within `_DEAD_AFTER` seconds.
"""

from __future__ import annotations

import base64
import logging
import shlex
import socket
import threading
from pathlib import Path
from typing import Final, Iterator, Optional, Sequence

import paramiko

from nix_remote.errors import (
    ConnectionBroken,
    ConnectionRefused,
    ConnectionTimedOut,
    HostNotFound,
    LoginRefused,
    SshConfigUnsupported,
)
from nix_remote.ssh.config import HostConfig
from nix_remote.ssh.known_hosts import fingerprint
from nix_remote.ssh.negotiation import DroppedBeforeGreeting, negotiate
from nix_remote.ssh.negotiation import reason as _reason
from nix_remote.ssh.transport import POLL_SECONDS, Buffer, Channel, ChannelTimeout

_DEAD_AFTER: Final = 60
_STDERR_TAIL: Final = 4096

# paramiko reports through logging what it also raises; Python would print it.
logging.getLogger("paramiko").addHandler(logging.NullHandler())


def connect(config: HostConfig) -> ParamikoTransport:
    """Connects and logs in.

    Raises `SshConfigUnsupported`, `ConnectionFailed`, `HostKeyError` or `AuthenticationError`.
    """
    _refuse_unsupported(config)
    stream = _open_socket(config)
    ip = stream.getpeername()[0]
    try:
        connection, unproven = negotiate(stream, config, ip)
    except DroppedBeforeGreeting:
        why = "the server closed the connection before its greeting"
        raise ConnectionBroken(config.alias, "negotiating", why) from None
    try:
        _log_in(connection, config)
    except BaseException:
        connection.close()
        raise
    return ParamikoTransport(connection, config, unproven)


def _refuse_unsupported(config: HostConfig) -> None:
    reasons = [*config.needs_openssh]
    if config.jump is not None:
        reasons.append("ProxyJump")
    if config.proxy_command is not None:
        reasons.append("ProxyCommand")
    if config.certificate_files:
        reasons.append("CertificateFile")
    if reasons:
        raise SshConfigUnsupported(config.alias, "; ".join(reasons))


def _open_socket(config: HostConfig) -> socket.socket:
    try:
        # Looked up apart from connecting, so that each failure says what it is.
        addresses = socket.getaddrinfo(config.hostname, config.port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        raise HostNotFound(config.alias, config.hostname, config.entry_found_in) from None
    refusal: Optional[OSError] = None
    for family, kind, protocol, _, address in addresses:
        candidate = socket.socket(family, kind, protocol)
        candidate.settimeout(config.connect_timeout)
        try:
            candidate.connect(address)
        except OSError as error:
            candidate.close()
            refusal = error
            continue
        _watch(candidate)
        return candidate
    if isinstance(refusal, socket.timeout):
        raise ConnectionTimedOut(
            config.alias, config.address, "the connection", config.connect_timeout
        )
    why = refusal.strerror if refusal is not None else None
    raise ConnectionRefused(config.alias, config.address, why or "no address could be reached")


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


def _log_in(connection: paramiko.Transport, config: HostConfig) -> None:
    tried: list[str] = []
    for name, key in _keys(config, tried):
        try:
            still_needed = connection.auth_publickey(config.user, key)
        except paramiko.BadAuthenticationType as error:
            tried.append(f"{name} (the server wants {', '.join(error.allowed_types)})")
            break
        except (paramiko.SSHException, OSError, EOFError) as error:
            if not connection.is_active():
                tried.append(
                    f"{name} (the server hung up: too many keys, or the account is locked)"
                )
                break
            tried.append(f"{name} ({_reason(error)})")
            continue
        if not still_needed:
            return
        tried.append(f"{name} (accepted, but the server wants {', '.join(still_needed)} as well)")
    raise LoginRefused(config.alias, config.user, "; ".join(tried) or "nothing: there is no key")


def _keys(config: HostConfig, unusable: list[str]) -> Iterator[tuple[str, paramiko.PKey]]:
    """Keys to log in with, the agent's first; what cannot be used is noted in `unusable`."""
    offered = set()
    for key in _agent_keys(config, unusable):
        offered.add(key.asbytes())
        yield f"{fingerprint(key.asbytes())} from the agent", key
    for path in config.identity_files:
        if not path.exists():
            continue
        try:
            loaded = paramiko.PKey.from_path(path)
        except (paramiko.SSHException, OSError, ValueError, TypeError) as error:
            # Several exceptions stand for a missing passphrase, by kind of key.
            locked = "password" in str(error)
            why = "needs a passphrase; is it in the agent?" if locked else _reason(error)
            unusable.append(f"{path} ({why})")
            continue
        if loaded.asbytes() not in offered:
            yield str(path), loaded


def _agent_keys(config: HostConfig, unusable: list[str]) -> list[paramiko.PKey]:
    try:
        held: list[paramiko.PKey] = list(paramiko.Agent().get_keys())
    except (paramiko.SSHException, OSError) as error:
        unusable.append(f"the agent ({_reason(error)})")
        return []
    if not config.identities_only:
        return held
    named = {_public_blob(Path(f"{path}.pub")) for path in config.identity_files}
    return [key for key in held if key.asbytes() in named]


def _public_blob(path: Path) -> bytes:
    try:
        return base64.b64decode(path.read_text().split()[1])
    except (OSError, ValueError, IndexError):
        return b""


class ParamikoTransport:
    """A connection over paramiko, logged in. Made by `connect`."""

    def __init__(self, connection: paramiko.Transport, config: HostConfig, unproven: str) -> None:
        self._connection = connection
        self._config = config
        self._unproven = unproven

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
        self._connection.close()


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
