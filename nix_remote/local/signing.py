"""Signs paths, so that a server takes them from an account that it does not trust.

Pure: a secret key's text in, signed path infos out. The format of keys and
signatures is Nix's own; `nix-store --generate-binary-cache-key` makes a pair.

    key file     NAME:BASE64    64 bytes: an Ed25519 seed and its public key
    signature    NAME:BASE64    64 bytes, of the fingerprint
    fingerprint  1;PATH;sha256:HASH;NAR-SIZE;REFERENCE,REFERENCE,…

(Signatures are equal, byte by byte, to those of `nix store sign` of Nix 2.8, 2.26 and 2.34.)
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
    """A secret key of Nix's. Made by `parse_signing_key`."""

    name: str
    """What servers know the key by: `cache.example.org-1`."""
    _key: Ed25519PrivateKey = field(repr=False)

    @property
    def public(self) -> str:
        """The public key as `trusted-public-keys` takes it."""
        raw = self._key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        return f"{self.name}:{base64.b64encode(raw).decode()}"

    def sign(self, info: PathInfo) -> PathInfo:
        """The same, with a signature by this key; those it has already stay."""
        signature = base64.b64encode(self._key.sign(fingerprint(info).encode())).decode()
        signatures = dict.fromkeys((*info.signatures, f"{self.name}:{signature}"))
        return replace(info, signatures=tuple(signatures))


def fingerprint(info: PathInfo) -> str:
    """What a signature vouches for: the path, its content, what it refers to."""
    references = ",".join(sorted(info.references))
    return f"1;{info.path};{format_nar_hash(info.nar_hash)};{info.nar_size};{references}"


def parse_signing_key(text: str) -> SigningKey:
    """From the content of a key file; `ValueError`, which never quotes it, if it is none."""
    name, colon, encoded = text.strip().partition(":")
    if not colon or not name or "\n" in name:
        raise ValueError("it is not of the form NAME:BASE64")
    try:
        raw = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        raise ValueError("what follows the colon is not base 64") from None
    if len(raw) == _PUBLIC_BYTES:
        raise ValueError("it is a public key; the secret one is needed")
    if len(raw) != _SEED_BYTES + _PUBLIC_BYTES:
        raise ValueError(f"the key has {len(raw)} bytes, not 64")
    key = SigningKey(name, Ed25519PrivateKey.from_private_bytes(raw[:_SEED_BYTES]))
    if not key.public.endswith(base64.b64encode(raw[_SEED_BYTES:]).decode()):
        raise ValueError("its secret and its public half do not belong together")
    return key
