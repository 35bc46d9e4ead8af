"""OpenSSH host certificates: parsing, and verification of the authority's signature.

Which authorities are trusted is up to `known_hosts`. No input or output.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Final, Optional, Sequence

import paramiko
from paramiko.pkey import UnknownKeyType

from nix_remote.ssh import patterns
from nix_remote.ssh.keys.algorithms import is_certificate, plain_kind

_HOST_CERTIFICATE: Final = 2
_MAX_PRINCIPALS: Final = 256
# How many strings a public key consists of, by the prefix of its type.
_KEY_FIELDS: Final = {"ssh-ed25519": 1, "ecdsa-sha2-": 2, "ssh-rsa": 2}


class BadCertificate(ValueError):
    """A certificate is malformed, or its signature is invalid."""


@dataclass(frozen=True)
class HostCertificate:
    """A host certificate whose signature has been verified."""

    authority: bytes
    """The public key of the authority that signed it."""
    signature_algorithm: str
    is_for_hosts: bool
    principals: tuple[str, ...]
    """Patterns of the host names that it is valid for."""
    valid_from: int
    """Seconds since 1970."""
    valid_before: int
    has_critical_options: bool

    def problem(self, host: str, now: float, allowed_algorithms: Sequence[str]) -> str:
        """Why it is not valid for `host`; empty if it is."""
        if not self.is_for_hosts:
            return "it is not a host certificate"
        if now < self.valid_from:
            return "it is not valid yet"
        if now >= self.valid_before:
            return "it has expired"
        if not any(patterns.matches(host, principal) for principal in self.principals):
            return f"it is for {', '.join(self.principals) or 'no host'}, not for {host}"
        if self.has_critical_options:
            return "it has a critical option, and none is defined for hosts"
        if self.signature_algorithm not in allowed_algorithms:
            return f"{self.signature_algorithm} is not in CASignatureAlgorithms"
        return ""


class Fields:
    """Reads the fields of a key or certificate in order.

    Its methods raise `BadCertificate` at the end of the data.
    """

    def __init__(self, data: bytes, at: int = 0) -> None:
        self.data = data
        self.at = at

    def number(self, size: int) -> int:
        """A number of `size` bytes."""
        piece = self._piece(size)
        return int.from_bytes(piece, "big")

    def string(self) -> bytes:
        """A field with a length prefix."""
        (length,) = struct.unpack(">I", self._piece(4))
        return self._piece(length)

    def _piece(self, size: int) -> bytes:
        piece = self.data[self.at : self.at + size]
        if len(piece) != size:
            raise BadCertificate("it is truncated")
        self.at += size
        return piece


def parse(data: bytes) -> HostCertificate:
    """Parses a certificate and verifies its signature. Raises `BadCertificate`."""
    fields = Fields(data)
    try:
        kind = fields.string().decode()
        fields.string()  # nonce
        for _ in range(_fields_of_key(kind)):
            fields.string()
        fields.number(8)  # serial number
        is_for_hosts = fields.number(4) == _HOST_CERTIFICATE
        fields.string()  # key ID
        principals = _principals(fields.string())
        valid_from, valid_before = fields.number(8), fields.number(8)
        critical_options = fields.string()
        fields.string()  # extensions
        fields.string()  # reserved
        authority = fields.string()
        signed = data[: fields.at]
        signature = fields.string()
        algorithm = Fields(signature).string().decode()
    except UnicodeDecodeError:
        raise BadCertificate("it has a name that is not UTF-8") from None
    if fields.at != len(data):
        raise BadCertificate("it is followed by other data")
    _verify(authority, signed, signature)
    return HostCertificate(
        authority=authority,
        signature_algorithm=algorithm,
        is_for_hosts=is_for_hosts,
        principals=principals,
        valid_from=valid_from,
        valid_before=valid_before,
        has_critical_options=bool(critical_options),
    )


def plain_key(data: bytes) -> bytes:
    """The public key in a certificate; data that is not a certificate is returned unchanged.

    Raises `BadCertificate`.
    """
    fields = Fields(data)
    kind = fields.string().decode(errors="replace")
    if not is_certificate(kind):
        return data
    fields.string()  # nonce
    begin = fields.at
    for _ in range(_fields_of_key(kind)):
        fields.string()
    name = plain_kind(kind).encode()
    return len(name).to_bytes(4, "big") + name + data[begin : fields.at]


def _fields_of_key(kind: str) -> int:
    for beginning, count in _KEY_FIELDS.items():
        if kind.startswith(beginning):
            return count
    raise BadCertificate(f"unknown key type {kind!r}")


def _principals(data: bytes) -> tuple[str, ...]:
    fields = Fields(data)
    found = []
    while fields.at < len(data):
        found.append(fields.string().decode())
        if len(found) > _MAX_PRINCIPALS:
            raise BadCertificate("it has too many principals")
    return tuple(found)


def _verify(authority: bytes, signed: bytes, signature: bytes) -> None:
    key = public_key(authority)
    if key is None:
        raise BadCertificate("its authority's key type is unknown")
    try:
        genuine = key.verify_ssh_sig(signed, paramiko.Message(signature))
    except (paramiko.SSHException, ValueError, TypeError) as error:
        raise BadCertificate(f"its signature is malformed: {error}") from None
    if not genuine:
        raise BadCertificate("its signature is invalid")


def public_key(data: bytes) -> Optional[paramiko.PKey]:
    """Parses a plain public key; None if it is malformed or paramiko does not have its type."""
    try:
        kind = Fields(data).string().decode()
        key = paramiko.PKey.from_type_string(kind, data)
        return key if key.asbytes() == data else None
    except (paramiko.SSHException, UnknownKeyType, ValueError, TypeError, IndexError):
        return None
