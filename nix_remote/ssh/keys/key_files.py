"""Files with keys and certificates to log in with."""

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

PUBLIC_KEY: Final = (
    "a public key, and the agent has no private key for it: name the file of the private key"
)


class UnusableKey(Exception):
    """A private key that cannot be used; says why, in words."""

    def __init__(self, why: str, *, locked: bool = False, beyond_paramiko: bool = False) -> None:
        super().__init__(why)
        self.locked = locked
        """Whether a passphrase is all that is missing."""
        self.beyond_paramiko = beyond_paramiko
        """Whether the `ssh` program may be able to use it."""


def public_key(path: Path) -> Optional[bytes]:
    """The public part of a key without its passphrase; None if it cannot be told.

    The file may be an OpenSSH private key, a public key, or the private part of a
    pair whose public part is beside it.
    """
    content = _read(path)
    return _inside(content) or _line(content) or _line(_read(Path(f"{path}.pub")))


def certificate(path: Path) -> Optional[bytes]:
    """A certificate from its file; None if there is none."""
    found = _line(_read(path))
    return found if found is not None and "-cert-" in kind_of(found) else None


def is_security_key(path: Path) -> bool:
    """Whether a key file stands for a key in hardware (FIDO)."""
    found = public_key(path)
    return found is not None and kind_of(found).startswith("sk-")


def private_key(path: Path) -> paramiko.PKey:
    """Loads a private key, without a certificate that may be beside it. Raises `UnusableKey`."""
    if is_public(path):
        raise UnusableKey(PUBLIC_KEY)
    try:
        status = path.stat()
        if status.st_uid == os.getuid() and status.st_mode & _READABLE_BY_OTHERS:
            raise UnusableKey(f"others can read it: chmod 600 {path}")
        key = _from_pkcs8(path) or paramiko.PKey.from_path(path)
    except UnusableKey:
        raise
    except UnknownKeyType:
        why = "of a kind that only the ssh program can use"
        raise UnusableKey(why, beyond_paramiko=True) from None
    except OSError as error:
        raise UnusableKey(error.strerror or str(error)) from None
    except Exception as error:  # of one of the libraries that read key files
        # Several exceptions stand for a missing passphrase, by kind of key.
        if "password" in str(error).lower() or "passphrase" in str(error).lower():
            raise UnusableKey("needs a passphrase; is it in the agent?", locked=True) from None
        why = str(error) or type(error).__name__
        raise UnusableKey(why, beyond_paramiko=True) from None
    key.public_blob = None
    return key


def is_public(path: Path) -> bool:
    """Whether the file has a public key or a certificate, and so no private one."""
    return _line(_read(path)) is not None


def _from_pkcs8(path: Path) -> Optional[paramiko.PKey]:
    """A key in the one format that paramiko recognises, but cannot load; None if it is another."""
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
    (of_its_kind,) = (kind for base, kind in _CLASSES.items() if isinstance(loaded, base))
    return of_its_kind.from_private_key(io.StringIO(text.decode()))


def _read(path: Path) -> bytes:
    try:
        if not path.is_file():
            return b""
        with open(path, "rb") as file:
            return file.read(_MAX_SIZE)
    except OSError:
        return b""


def _line(content: bytes) -> Optional[bytes]:
    """The key of a line such as `ssh-ed25519 AAAA... comment`."""
    found = _PUBLIC.match(content)
    if found is None:
        return None
    try:
        key = base64.b64decode(found[2])
    except binascii.Error:
        return None
    return key if kind_of(key).encode() == found[1] else None


def _inside(content: bytes) -> Optional[bytes]:
    """The public part of an OpenSSH private key, which is never encrypted."""
    found = _PRIVATE.search(content)
    if found is None:
        return None
    try:
        data = base64.b64decode(b"".join(found[1].split()))
        if not data.startswith(_MAGIC):
            return None
        fields = Fields(data, len(_MAGIC))
        for _ in ("cipher", "derivation of its key", "options of that"):
            fields.string()
        return fields.string() if fields.number(4) == 1 else None
    except (binascii.Error, BadCertificate):
        return None
