"""Generates a key pair for logins. It has no passphrase, because Bazel cannot prompt for one."""

from __future__ import annotations

import os
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from nix_remote.errors import SetupInputUnusable


def create(file: Path, comment: str) -> None:
    """Writes `file` and `file.pub`.

    Raises `SetupInputUnusable` if one of them exists or cannot be written.
    """
    key = Ed25519PrivateKey.generate()
    secret = key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption())
    public = key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH)
    try:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        # In this order: an existing public key belongs to another private key.
        _write_new(public_file(file), public + f" {comment}\n".encode(), 0o644)
        try:
            _write_new(file, secret, 0o600)
        except OSError:
            public_file(file).unlink()
            raise
    except OSError as error:
        expected = f"the name of a new file ({error.strerror})"
        raise SetupInputUnusable(str(error.filename), expected) from None


def public_file(file: Path) -> Path:
    """The file of the public key."""
    return file.with_name(f"{file.name}.pub")


def _write_new(file: Path, content: bytes, mode: int) -> None:
    with open(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as opened:
        opened.write(content)
