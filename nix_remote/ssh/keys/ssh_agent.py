"""A client of the SSH agent: lists its keys and makes it sign.

paramiko's own client only uses the agent of `SSH_AUTH_SOCK`, waits for it without a bound, and
does not use the certificates that it holds.
"""

from __future__ import annotations

import errno
import socket
from pathlib import Path
from types import TracebackType
from typing import Final, Optional

import paramiko

from nix_remote.ssh.keys.algorithms import plain_kind
from nix_remote.ssh.keys.certificates import BadCertificate, Fields, plain_key
from nix_remote.ssh.keys.known_hosts import kind_of

_LIST: Final = 11
_LISTED: Final = 12
_SIGN: Final = 13
_SIGNED: Final = 14
_MAX_REPLY: Final = 4 * 1024 * 1024
_RSA_FLAGS: Final = {"rsa-sha2-256": 2, "rsa-sha2-512": 4}

_PROBE_TIMEOUT: Final = 2.0
"""Seconds."""

NO_AGENT_LISTENS: Final = "no SSH agent listens there; the session that started it has ended"


class AgentUnavailable(Exception):
    """The SSH agent cannot be reached or refuses a request; the message says why."""


def probe(path: Path) -> frozenset[bytes]:
    """The public keys that the SSH agent at `path` holds. Raises `AgentUnavailable`."""
    with Agent(path, _PROBE_TIMEOUT) as agent:
        return frozenset(key.blob for key in agent.list_keys())


class Agent:
    """A connection to an SSH agent, which may take `timeout` seconds for each reply."""

    def __init__(self, path: Path, timeout: float) -> None:
        """Raises `AgentUnavailable`."""
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(timeout)
        try:
            self._socket.connect(str(path))
        except OSError as error:
            self._socket.close()
            raise AgentUnavailable(_reason(error)) from None

    def __enter__(self) -> Agent:
        return self

    def __exit__(
        self,
        kind: Optional[type[BaseException]],
        error: Optional[BaseException],
        trace: Optional[TracebackType],
    ) -> None:
        self.close()

    def list_keys(self) -> list[AgentKey]:
        """The keys and certificates in the agent. Raises `AgentUnavailable`."""
        fields = self._request(bytes([_LIST]), _LISTED)
        try:
            count = fields.number(4)
            found = []
            for _ in range(count):
                blob, comment = fields.string(), fields.string()
                found.append(AgentKey(self, blob, comment.decode(errors="replace")))
        except BadCertificate:
            raise AgentUnavailable("its reply is malformed") from None
        return found

    def sign(self, blob: bytes, data: bytes, flags: int) -> bytes:
        """A signature by one of the agent's keys. Raises `AgentUnavailable`."""
        request = bytes([_SIGN]) + _string(blob) + _string(data) + flags.to_bytes(4, "big")
        try:
            return self._request(request, _SIGNED).string()
        except BadCertificate:
            raise AgentUnavailable("its reply is malformed") from None

    def close(self) -> None:
        self._socket.close()

    def _request(self, request: bytes, expected: int) -> Fields:
        try:
            self._socket.sendall(_string(request))
            length = int.from_bytes(self._receive(4), "big")
            if not 0 < length <= _MAX_REPLY:
                raise AgentUnavailable("its reply is malformed")
            reply = self._receive(length)
        except OSError as error:
            raise AgentUnavailable(_reason(error)) from None
        if reply[0] != expected:
            raise AgentUnavailable("it refuses the request")
        return Fields(reply, 1)

    def _receive(self, size: int) -> bytes:
        data = b""
        while len(data) < size:
            piece = self._socket.recv(size - len(data))
            if not piece:
                raise AgentUnavailable("it closed the connection")
            data += piece
        return data


class AgentKey(paramiko.PKey):
    """A key or certificate in the SSH agent, with paramiko's interface."""

    def __init__(self, agent: Agent, blob: bytes, comment: str) -> None:
        self._agent = agent
        self.blob = blob
        self.comment = comment
        self.kind = kind_of(blob)
        self.public_blob = paramiko.pkey.PublicBlob(self.kind, blob)

    def get_name(self) -> str:
        return self.kind

    def asbytes(self) -> bytes:
        """The public key, without its certificate."""
        try:
            return plain_key(self.blob)
        except BadCertificate:
            return self.blob

    def certified(self, certificate: bytes) -> AgentKey:
        """The same key with a certificate from a file."""
        key = AgentKey(self._agent, self.blob, self.comment)
        key.public_blob = paramiko.pkey.PublicBlob(kind_of(certificate), certificate)
        return key

    def sign_ssh_data(  # type: ignore[override]  # paramiko takes bytes as well
        self, data: bytes, algorithm: Optional[str] = None
    ) -> bytes:
        flags = _RSA_FLAGS.get(plain_kind(algorithm or ""), 0)
        try:
            return self._agent.sign(self.blob, data, flags)
        except AgentUnavailable as error:
            raise paramiko.SSHException(f"the SSH agent did not sign: {error}") from None


def _string(value: bytes) -> bytes:
    return len(value).to_bytes(4, "big") + value


def _reason(error: OSError) -> str:
    if isinstance(error, socket.timeout):
        return "it does not answer"
    if error.errno in (errno.ENOENT, errno.ECONNREFUSED):
        return NO_AGENT_LISTENS
    return error.strerror or str(error)
