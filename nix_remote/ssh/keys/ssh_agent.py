"""The SSH agent: which keys it holds, and signatures by them.

paramiko's own client knows one agent only, waits for it without a bound, and
cannot use the certificates in it.
"""

from __future__ import annotations

import errno
import socket
from pathlib import Path
from typing import Final, Optional

import paramiko

from nix_remote.ssh.keys.algorithms import CERTIFICATE
from nix_remote.ssh.keys.certificates import BadCertificate, Fields, plain_key
from nix_remote.ssh.keys.known_hosts import kind_of

_LIST: Final = 11
_LISTED: Final = 12
_SIGN: Final = 13
_SIGNED: Final = 14
_MAX_ANSWER: Final = 4 * 1024 * 1024
_RSA_FLAGS: Final = {"rsa-sha2-256": 2, "rsa-sha2-512": 4}

AGENT_IS_GONE: Final = "nobody is there: it was left by a session that has ended"


class AgentUnavailable(Exception):
    """The agent cannot be asked; says why, in words."""


class Agent:
    """A connection to an agent. Every answer is waited for `timeout` seconds."""

    def __init__(self, path: Path, timeout: float) -> None:
        """Raises `AgentUnavailable`."""
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(timeout)
        try:
            self._socket.connect(str(path))
        except OSError as error:
            self._socket.close()
            raise AgentUnavailable(_reason(error)) from None

    def keys(self) -> list[AgentKey]:
        """The keys and certificates that it holds. Raises `AgentUnavailable`."""
        fields = self._ask(bytes([_LIST]), _LISTED)
        try:
            count = fields.number(4)
            found = []
            for _ in range(count):
                blob, comment = fields.string(), fields.string()
                found.append(AgentKey(self, blob, comment.decode(errors="replace")))
        except BadCertificate:
            raise AgentUnavailable("its answer makes no sense") from None
        return found

    def sign(self, blob: bytes, data: bytes, flags: int) -> bytes:
        """A signature by one of its keys. Raises `AgentUnavailable`."""
        request = bytes([_SIGN]) + _string(blob) + _string(data) + flags.to_bytes(4, "big")
        try:
            return self._ask(request, _SIGNED).string()
        except BadCertificate:
            raise AgentUnavailable("its answer makes no sense") from None

    def close(self) -> None:
        self._socket.close()

    def _ask(self, request: bytes, expected: int) -> Fields:
        try:
            self._socket.sendall(_string(request))
            length = int.from_bytes(self._receive(4), "big")
            if not 0 < length <= _MAX_ANSWER:
                raise AgentUnavailable("its answer makes no sense")
            answer = self._receive(length)
        except OSError as error:
            raise AgentUnavailable(_reason(error)) from None
        if answer[0] != expected:
            raise AgentUnavailable("it refuses")
        return Fields(answer, 1)

    def _receive(self, size: int) -> bytes:
        data = b""
        while len(data) < size:
            piece = self._socket.recv(size - len(data))
            if not piece:
                raise AgentUnavailable("it closed the connection")
            data += piece
        return data


class AgentKey(paramiko.PKey):
    """A key or certificate in an agent, as paramiko wants to have it."""

    def __init__(self, agent: Agent, blob: bytes, comment: str) -> None:
        self._agent = agent
        self.blob = blob
        self.comment = comment
        self.kind = kind_of(blob)
        self.public_blob = paramiko.pkey.PublicBlob(self.kind, blob)

    def get_name(self) -> str:
        return self.kind

    def asbytes(self) -> bytes:
        """The public key, without certificate."""
        try:
            return plain_key(self.blob)
        except BadCertificate:
            return self.blob

    def certified(self, certificate: bytes) -> AgentKey:
        """The same key, with a certificate for it from elsewhere."""
        key = AgentKey(self._agent, self.blob, self.comment)
        key.public_blob = paramiko.pkey.PublicBlob(kind_of(certificate), certificate)
        return key

    def sign_ssh_data(  # type: ignore[override]  # paramiko takes bytes as well
        self, data: bytes, algorithm: Optional[str] = None
    ) -> bytes:
        flags = _RSA_FLAGS.get((algorithm or "").removesuffix(CERTIFICATE), 0)
        try:
            return self._agent.sign(self.blob, data, flags)
        except AgentUnavailable as error:
            raise paramiko.SSHException(f"the agent did not sign: {error}") from None


def _string(value: bytes) -> bytes:
    return len(value).to_bytes(4, "big") + value


def _reason(error: OSError) -> str:
    if isinstance(error, socket.timeout):
        return "it does not answer"
    if error.errno in (errno.ENOENT, errno.ECONNREFUSED):
        return AGENT_IS_GONE
    return error.strerror or str(error)
