"""Signs paths, so that a server accepts them from an account that it does not trust.

Pure: a secret key's text in, signed path infos out. Keys and signatures have
Nix's format; `nix-store --generate-binary-cache-key` generates a key pair.

    key file     NAME:BASE64    64 bytes: an Ed25519 seed and its public key
    signature    NAME:BASE64    64 bytes, of the fingerprint
    fingerprint  1;PATH;sha256:HASH;NAR-SIZE;REFERENCE,REFERENCE,…

(Signatures are identical to those of `nix store sign` of Nix 2.8, 2.26 and 2.34.)
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass, field, replace
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from nix_remote.store.paths import PathInfo, format_nar_hash

_SEED_BYTES: Final = 32
_PUBLIC_BYTES: Final = 32


@dataclass(frozen=True)
class SigningKey:
    """A secret key in Nix's format. Made by `parse_signing_key`."""

    name: str
    """The name of the key: `cache.example.org-1`."""
    _key: Ed25519PrivateKey = field(repr=False)

    @property
    def public(self) -> str:
        """The public key in the format of `trusted-public-keys`."""
        raw = self._key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        return f"{self.name}:{base64.b64encode(raw).decode()}"

    def sign(self, info: PathInfo) -> PathInfo:
        """The same info with an additional signature by this key."""
        signature = base64.b64encode(self._key.sign(fingerprint(info).encode())).decode()
        signatures = dict.fromkeys((*info.signatures, f"{self.name}:{signature}"))
        return replace(info, signatures=tuple(signatures))


def fingerprint(info: PathInfo) -> str:
    """The text that is signed: path, NAR hash and size, references."""
    references = ",".join(sorted(info.references))
    return f"1;{info.path};{format_nar_hash(info.nar_hash)};{info.nar_size};{references}"


def parse_signing_key(text: str) -> SigningKey:
    """Parses a key file; raises `ValueError`, which never quotes the content."""
    name, colon, encoded = text.strip().partition(":")
    if not colon or not name or "\n" in name:
        raise ValueError("not of the form NAME:BASE64")
    try:
        raw = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        raise ValueError("the part after the colon is not base 64") from None
    if len(raw) == _PUBLIC_BYTES:
        raise ValueError("this is a public key; the secret key is required")
    if len(raw) != _SEED_BYTES + _PUBLIC_BYTES:
        raise ValueError(f"the key has {len(raw)} bytes, not 64")
    key = SigningKey(name, Ed25519PrivateKey.from_private_bytes(raw[:_SEED_BYTES]))
    if not key.public.endswith(base64.b64encode(raw[_SEED_BYTES:]).decode()):
        raise ValueError("the secret and the public part of the key do not match")
    return key
