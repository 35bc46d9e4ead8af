"""Files of the user's keys and certificates: identity files, public keys, certificates."""

from __future__ import annotations

import base64
import binascii
import io
import os
import re
from pathlib import Path
from typing import Any, Final, Mapping, Optional

import paramiko
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from paramiko.pkey import UnknownKeyType

from nix_remote.ssh.keys.algorithms import is_certificate
from nix_remote.ssh.keys.certificates import BadCertificate, Fields
from nix_remote.ssh.keys.known_hosts import kind_of

_MAX_SIZE: Final = 1024 * 1024
_PUBLIC: Final = re.compile(rb"\s*((?:ssh|ecdsa|sk)-\S+)[ \t]+([A-Za-z0-9+/]+=*)")
_PRIVATE: Final = re.compile(
    rb"-----BEGIN OPENSSH PRIVATE KEY-----\s([A-Za-z0-9+/=\s]+)-----END OPENSSH"
)
_MAGIC: Final = b"openssh-key-v1\0"
_PKCS8: Final = b"-----BEGIN PRIVATE KEY-----"
_CLASSES: Final[Mapping[Any, type[paramiko.PKey]]] = {
    rsa.RSAPrivateKey: paramiko.RSAKey,
    ec.EllipticCurvePrivateKey: paramiko.ECDSAKey,
    ed25519.Ed25519PrivateKey: paramiko.Ed25519Key,
}
_READABLE_BY_OTHERS: Final = 0o077

NEEDS_PASSPHRASE: Final = "needs a passphrase and is not in the SSH agent"
PUBLIC_KEY: Final = (
    "a public key whose private key is not in the SSH agent: name the private key file"
)


class UnusableKey(Exception):
    """A private key cannot be used; the message says why."""

    def __init__(self, why: str, *, locked: bool = False, needs_openssh: bool = False) -> None:
        super().__init__(why)
        self.locked = locked
        """Whether the key only lacks its passphrase."""
        self.needs_openssh = needs_openssh
        """Whether only the `ssh` program may be able to use it."""


def public_key(path: Path) -> Optional[bytes]:
    """The public part of a key; None if it cannot be determined without the passphrase.

    The file may be an OpenSSH private key, a public key, or a private key with a `.pub` file.
    """
    content = _read(path)
    found = _from_private_key(content) or _from_public_line(content)
    return found or _from_public_line(_read(Path(f"{path}.pub")))


def certificate(path: Path) -> Optional[bytes]:
    """The certificate in a file; None if it has none."""
    found = _from_public_line(_read(path))
    return found if found is not None and is_certificate(kind_of(found)) else None


def certificate_file(path: Path) -> Path:
    """The file that OpenSSH searches for the certificate of the key in `path`."""
    return Path(f"{path}-cert.pub")


def is_security_key(path: Path) -> bool:
    """Whether a key file refers to a key in hardware (FIDO)."""
    found = public_key(path)
    return found is not None and kind_of(found).startswith("sk-")


def private_key(path: Path) -> paramiko.PKey:
    """Loads a private key, without its certificate. Raises `UnusableKey`."""
    if is_public(path):
        raise UnusableKey(PUBLIC_KEY)
    try:
        status = path.stat()
        if status.st_uid == os.getuid() and status.st_mode & _READABLE_BY_OTHERS:
            raise UnusableKey(f"other users can read it: chmod 600 {path}")
        key = _from_pkcs8(path) or paramiko.PKey.from_path(path)
    except UnusableKey:
        raise
    except UnknownKeyType:
        why = "a key type that only the ssh program can use"
        raise UnusableKey(why, needs_openssh=True) from None
    except OSError as error:
        raise UnusableKey(error.strerror or str(error)) from None
    except Exception as error:  # from one of the libraries that parse key files
        # Which exception means a missing passphrase depends on the key type.
        if "password" in str(error).lower() or "passphrase" in str(error).lower():
            raise UnusableKey(NEEDS_PASSPHRASE, locked=True) from None
        why = str(error) or type(error).__name__
        raise UnusableKey(why, needs_openssh=True) from None
    key.public_blob = None
    return key


def is_public(path: Path) -> bool:
    """Whether the file holds a public key or a certificate instead of a private key."""
    return _from_public_line(_read(path)) is not None


def _from_pkcs8(path: Path) -> Optional[paramiko.PKey]:
    """Loads a key in PKCS#8 format, which paramiko cannot load; None for other formats."""
    content = path.read_bytes()
    if _PKCS8 not in content:
        return None
    loaded = serialization.load_pem_private_key(content, password=None)
    if not isinstance(loaded, tuple(_CLASSES)):
        raise UnknownKeyType
    text = loaded.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.OpenSSH,
        serialization.NoEncryption(),
    )
    (key_class,) = (each for base, each in _CLASSES.items() if isinstance(loaded, base))
    return key_class.from_private_key(io.StringIO(text.decode()))


def _read(path: Path) -> bytes:
    try:
        if not path.is_file():
            return b""
        with open(path, "rb") as file:
            return file.read(_MAX_SIZE)
    except OSError:
        return b""


def _from_public_line(content: bytes) -> Optional[bytes]:
    """The key of a line such as `ssh-ed25519 AAAA... comment`."""
    found = _PUBLIC.match(content)
    if found is None:
        return None
    try:
        key = base64.b64decode(found[2])
    except binascii.Error:
        return None
    return key if kind_of(key).encode() == found[1] else None


def _from_private_key(content: bytes) -> Optional[bytes]:
    """The public part of an OpenSSH private key; it is not encrypted."""
    found = _PRIVATE.search(content)
    if found is None:
        return None
    try:
        data = base64.b64decode(b"".join(found[1].split()))
        if not data.startswith(_MAGIC):
            return None
        fields = Fields(data, len(_MAGIC))
        for _ in ("cipher", "KDF", "KDF options"):
            fields.string()
        return fields.string() if fields.number(4) == 1 else None
    except (binascii.Error, BadCertificate):
        return None
