"""Ciphers, MACs, key exchanges and key types: what the SSH config selects of paramiko's.

Also the one place that knows how names of certificate algorithms are made. Pure.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Optional

from nix_remote.ssh import patterns

_CERTIFICATE_SUFFIX: Final = "-cert-v01@openssh.com"

# Fastest first. AES-GCM needs no separate MAC, and processors have instructions for it.
_CIPHERS: Final = (
    "aes128-gcm@openssh.com",
    "aes256-gcm@openssh.com",
    "aes128-ctr",
    "aes192-ctr",
    "aes256-ctr",
)
# Old algorithms are used only if the config names them.
_OLD_CIPHERS: Final = ("aes128-cbc", "aes192-cbc", "aes256-cbc", "3des-cbc")
_MACS: Final = (
    "hmac-sha2-256-etm@openssh.com",
    "hmac-sha2-512-etm@openssh.com",
    "hmac-sha2-256",
    "hmac-sha2-512",
)
_OLD_MACS: Final = ("hmac-sha1",)
_KEY_EXCHANGES: Final = (
    "mlkem768x25519-sha256",
    "curve25519-sha256",
    "curve25519-sha256@libssh.org",
    "ecdh-sha2-nistp256",
    "ecdh-sha2-nistp384",
    "ecdh-sha2-nistp521",
    "diffie-hellman-group16-sha512",
    "diffie-hellman-group-exchange-sha256",
    "diffie-hellman-group14-sha256",
)
_KEYS: Final = (
    "ssh-ed25519",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
    "rsa-sha2-512",
    "rsa-sha2-256",
)
_KEYS_AND_CERTIFICATES: Final = tuple(f"{key}{_CERTIFICATE_SUFFIX}" for key in _KEYS) + _KEYS
# Methods that paramiko has under another name.
_NAMES_OF_PARAMIKO: Final = {"curve25519-sha256": "curve25519-sha256@libssh.org"}


def is_certificate(kind: str) -> bool:
    """Whether a key type or algorithm is one of certificates."""
    return kind.endswith(_CERTIFICATE_SUFFIX)


def plain_kind(kind: str) -> str:
    """The key type or algorithm without the certificate suffix."""
    return kind.removesuffix(_CERTIFICATE_SUFFIX)


def certified_kind(kind: str) -> str:
    """The name that a plain key type or algorithm has for certificates."""
    return f"{kind}{_CERTIFICATE_SUFFIX}"


def assemble(
    wanted: Optional[str], default: tuple[str, ...], available: tuple[str, ...]
) -> tuple[str, ...]:
    """Evaluates a list of the SSH config: `a,b`, `+a` (add), `-a` (remove), `^a` (prefer).

    Names may be patterns. Unavailable algorithms are left out; without `wanted`, the result is
    the default.
    """
    if not wanted:
        return default
    names = wanted.lstrip("+-^").split(",")
    if wanted.startswith("-"):
        return tuple(one for one in default if not any(patterns.matches(one, n) for n in names))
    named = [
        candidate for name in names for candidate in available if patterns.matches(candidate, name)
    ]
    if wanted.startswith("+"):
        named = [*default, *named]
    elif wanted.startswith("^"):
        named = [*named, *default]
    return tuple(dict.fromkeys(named))


@dataclass(frozen=True)
class Algorithms:
    """The config's algorithm lists, unevaluated; None where it has none."""

    ciphers: Optional[str] = None
    key_exchanges: Optional[str] = None
    macs: Optional[str] = None
    host_keys: Optional[str] = None
    user_keys: Optional[str] = None
    certificate_authorities: Optional[str] = None


def ciphers(chosen: Algorithms) -> tuple[str, ...]:
    """Paramiko's names, in order of preference; empty if it has none of the selected ones."""
    return assemble(chosen.ciphers, _CIPHERS, _CIPHERS + _OLD_CIPHERS)


def macs(chosen: Algorithms) -> tuple[str, ...]:
    """Paramiko's names, in order of preference; empty if it has none of the selected ones."""
    return assemble(chosen.macs, _MACS, _MACS + _OLD_MACS)


def key_exchanges(chosen: Algorithms) -> tuple[str, ...]:
    """Paramiko's names, in order of preference; empty if it has none of the selected ones."""
    names = assemble(chosen.key_exchanges, _KEY_EXCHANGES, _KEY_EXCHANGES)
    return tuple(dict.fromkeys(_NAMES_OF_PARAMIKO.get(name, name) for name in names))


def host_keys(chosen: Algorithms) -> tuple[str, ...]:
    """Host key algorithms, in order of preference; empty if paramiko has none of them."""
    return assemble(chosen.host_keys, _KEYS_AND_CERTIFICATES, _KEYS_AND_CERTIFICATES)


def user_keys(chosen: Algorithms) -> tuple[str, ...]:
    """Algorithms of keys and certificates to log in with; empty if paramiko has none of them."""
    return assemble(chosen.user_keys, _KEYS_AND_CERTIFICATES, _KEYS_AND_CERTIFICATES)


def unavailable_host_keys(chosen: Algorithms) -> tuple[str, ...]:
    """The algorithms that HostKeyAlgorithms names and that paramiko does not have."""
    return _unavailable(chosen.host_keys, _KEYS_AND_CERTIFICATES)


def unavailable_user_keys(chosen: Algorithms) -> tuple[str, ...]:
    """The algorithms that PubkeyAcceptedAlgorithms names and that paramiko does not have."""
    return _unavailable(chosen.user_keys, _KEYS_AND_CERTIFICATES)


def is_known_key(kind: str) -> bool:
    """Whether paramiko has this key type, such as `ssh-rsa`, regardless of the config."""
    return kind == "ssh-rsa" or kind in _KEYS


def _unavailable(wanted: Optional[str], available: tuple[str, ...]) -> tuple[str, ...]:
    if not wanted or wanted.startswith("-"):
        return ()
    names = wanted.lstrip("+^").split(",")
    return tuple(
        name for name in names if not any(patterns.matches(one, name) for one in available)
    )


def certificate_authorities(chosen: Algorithms) -> tuple[str, ...]:
    """The algorithms that a certificate authority may sign host certificates with."""
    return assemble(chosen.certificate_authorities, _KEYS, _KEYS)
