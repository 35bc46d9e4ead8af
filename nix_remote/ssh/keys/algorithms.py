"""Ciphers, key exchanges and kinds of keys: what the SSH config asks for, of what paramiko has.

No input or output.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Optional

from nix_remote.ssh import patterns

CERTIFICATE: Final = "-cert-v01@openssh.com"
"""How the names of certificates' algorithms end."""

# Fastest first. AES-GCM needs no separate integrity check, and processors have it built in.
_CIPHERS: Final = (
    "aes128-gcm@openssh.com",
    "aes256-gcm@openssh.com",
    "aes128-ctr",
    "aes192-ctr",
    "aes256-ctr",
)
# Old ones only where the config names them.
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
_KEYS_AND_CERTIFICATES: Final = tuple(f"{key}{CERTIFICATE}" for key in _KEYS) + _KEYS
# Methods that paramiko has under another name only.
_SAME: Final = {"curve25519-sha256": "curve25519-sha256@libssh.org"}


def assemble(
    wanted: Optional[str], default: tuple[str, ...], available: tuple[str, ...]
) -> tuple[str, ...]:
    """A list as the SSH config gives it: `a,b`, `+a` (also), `-a` (not), `^a` (first).

    Names may be patterns. What is not available is left out; without
    `wanted`, the default.
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
    """The config's lists as they are written; None where it has none."""

    ciphers: Optional[str] = None
    key_exchanges: Optional[str] = None
    macs: Optional[str] = None
    host_keys: Optional[str] = None
    user_keys: Optional[str] = None
    certificate_authorities: Optional[str] = None


def ciphers(chosen: Algorithms) -> tuple[str, ...]:
    """Names for paramiko, best first; empty if it has none of those that are wanted."""
    return assemble(chosen.ciphers, _CIPHERS, _CIPHERS + _OLD_CIPHERS)


def macs(chosen: Algorithms) -> tuple[str, ...]:
    """Names for paramiko, best first; empty if it has none of those that are wanted."""
    return assemble(chosen.macs, _MACS, _MACS + _OLD_MACS)


def key_exchanges(chosen: Algorithms) -> tuple[str, ...]:
    """Names for paramiko, best first; empty if it has none of those that are wanted."""
    names = assemble(chosen.key_exchanges, _KEY_EXCHANGES, _KEY_EXCHANGES)
    return tuple(dict.fromkeys(_SAME.get(name, name) for name in names))


def host_keys(chosen: Algorithms) -> tuple[str, ...]:
    """Kinds of host keys and certificates, best first; empty if paramiko has none of them."""
    return assemble(chosen.host_keys, _KEYS_AND_CERTIFICATES, _KEYS_AND_CERTIFICATES)


def user_keys(chosen: Algorithms) -> tuple[str, ...]:
    """Kinds of keys and certificates to log in with; empty if paramiko has none of them."""
    return assemble(chosen.user_keys, _KEYS_AND_CERTIFICATES, _KEYS_AND_CERTIFICATES)


def unavailable_host_keys(chosen: Algorithms) -> tuple[str, ...]:
    """What the config's HostKeyAlgorithms adds that paramiko does not have."""
    return _unavailable(chosen.host_keys, _KEYS_AND_CERTIFICATES)


def unavailable_user_keys(chosen: Algorithms) -> tuple[str, ...]:
    """What the config's PubkeyAcceptedAlgorithms adds that paramiko does not have."""
    return _unavailable(chosen.user_keys, _KEYS_AND_CERTIFICATES)


def is_known_key(kind: str) -> bool:
    """Whether paramiko has this kind of key, such as `ssh-rsa`, whatever the config allows."""
    return kind == "ssh-rsa" or kind in _KEYS


def _unavailable(wanted: Optional[str], available: tuple[str, ...]) -> tuple[str, ...]:
    if not wanted or wanted.startswith("-"):
        return ()
    names = wanted.lstrip("+^").split(",")
    return tuple(
        name for name in names if not any(patterns.matches(one, name) for one in available)
    )


def certificate_authorities(chosen: Algorithms) -> tuple[str, ...]:
    """With which algorithms an authority may have signed a host certificate."""
    return assemble(chosen.certificate_authorities, _KEYS, _KEYS)
