"""Whether a server's host key is the known one. Reading and matching are paramiko's.

Unknown and changed keys are refused, whatever `StrictHostKeyChecking` says:
this program cannot ask.
"""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Optional, Sequence

import paramiko
from paramiko.hostkeys import InvalidHostKey

from nix_remote.errors import HostKeyChanged, HostKeyUnknown, SshConfigUnreadable
from nix_remote.ssh.config import HostConfig


def fingerprint(key: paramiko.PKey) -> str:
    """A key as OpenSSH shows it: type and SHA-256."""
    digest = hashlib.sha256(key.asbytes()).digest()
    return f"{key.get_name()} SHA256:{base64.b64encode(digest).decode().rstrip('=')}"


@dataclass(frozen=True)
class KnownKey:
    """A key that a file has for the server."""

    key: paramiko.PKey
    file: Path


def known_keys(config: HostConfig) -> tuple[KnownKey, ...]:
    """Every key that the configured files have for this server."""
    found = []
    for path in config.known_hosts_files:
        if not path.exists():
            continue
        try:
            entries = paramiko.HostKeys(str(path)).lookup(config.known_hosts_name)
        except (OSError, ValueError, paramiko.SSHException, InvalidHostKey) as error:
            raise SshConfigUnreadable(str(path), str(error)) from None
        found += [KnownKey(key, path) for key in (entries or {}).values()]
    return tuple(found)


def check(config: HostConfig, known: Sequence[KnownKey], offered: paramiko.PKey) -> None:
    """Returns if the server's key is known; raises `HostKeyError` otherwise."""
    conflicting: Optional[KnownKey] = None
    for entry in known:
        if entry.key.get_name() != offered.get_name():
            continue
        if entry.key.asbytes() == offered.asbytes():
            return
        conflicting = entry
    if conflicting is not None:
        raise HostKeyChanged(
            config.alias,
            config.known_hosts_name,
            fingerprint(offered),
            fingerprint(conflicting.key),
            str(conflicting.file),
        )
    raise HostKeyUnknown(
        config.alias,
        config.known_hosts_name,
        fingerprint(offered),
        " or ".join(str(path) for path in config.known_hosts_files),
    )
