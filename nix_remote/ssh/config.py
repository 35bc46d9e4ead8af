"""From the name of a `Host` entry to everything that is needed to connect: `HostConfig`.

Reads the user's and the system's SSH config with paramiko's parser. What
that parser passes over in silence although it changes where or as whom we
connect is refused by name.
"""

from __future__ import annotations

import getpass
import glob
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Iterator, Mapping, Optional

import paramiko

from nix_remote.errors import SshConfigUnreadable, SshConfigUnsupported

SYSTEM_CONFIG: Final = Path("/etc/ssh/ssh_config")

DEFAULT_CONNECT_TIMEOUT: Final = 15.0
"""Seconds; the entry's ConnectTimeout wins."""

_DEFAULT_IDENTITIES: Final = ("id_ed25519", "id_ecdsa", "id_rsa")
_SYSTEM_KNOWN_HOSTS: Final = ("/etc/ssh/ssh_known_hosts", "/etc/ssh/ssh_known_hosts2")
_USER_KNOWN_HOSTS: Final = ("~/.ssh/known_hosts", "~/.ssh/known_hosts2")

# Directives that would lead the connection elsewhere, or in as somebody else.
_REFUSED: Final = ("proxycommand", "proxyjump", "identityagent", "certificatefile", "hostkeyalias")
# What paramiko has no means for.
_ONLY_OPENSSH: Final = ("pkcs11provider", "securitykeyprovider", "knownhostscommand")
_MAX_INCLUDE_DEPTH: Final = 16


@dataclass(frozen=True)
class HostConfig:
    """Where and as whom to connect."""

    alias: str
    hostname: str
    port: int
    user: str
    entry_found_in: Optional[str]
    """The config file with a `Host` entry for the alias; None if there is no such entry."""
    identity_files: tuple[Path, ...]
    identities_only: bool
    known_hosts_files: tuple[Path, ...]
    connect_timeout: float
    """Seconds for each step of connecting."""
    needs_openssh: tuple[str, ...] = ()
    """Why only the `ssh` program can follow this configuration, in words; empty if paramiko can."""

    @property
    def address(self) -> str:
        """Host name and port, for messages."""
        return f"{self.hostname}:{self.port}"

    @property
    def known_hosts_name(self) -> str:
        """How known_hosts files call this server."""
        return self.hostname if self.port == 22 else f"[{self.hostname}]:{self.port}"


def resolve(alias: str, user_config: Path) -> HostConfig:
    """What the SSH configuration says of `alias`, which may be `user@alias`.

    A name without an entry is taken as a host name, as `ssh` does. Raises
    `SshConfigError`.
    """
    user, _, name = alias.rpartition("@")
    found, entry_found_in = _look_up(name, user_config)
    return HostConfig(
        alias=alias,
        hostname=_text(found, "hostname") or name,
        port=_number(found, "port", 22, entry_found_in),
        user=user or _text(found, "user") or getpass.getuser(),
        entry_found_in=entry_found_in,
        identity_files=_identity_files(found),
        identities_only=(_text(found, "identitiesonly") or "no").lower() == "yes",
        known_hosts_files=_known_hosts_files(found),
        connect_timeout=float(
            _number(found, "connecttimeout", int(DEFAULT_CONNECT_TIMEOUT), entry_found_in)
        ),
        needs_openssh=tuple(
            f"{directive} {_text(found, directive)}"
            for directive in _ONLY_OPENSSH
            if (_text(found, directive) or "none").lower() not in ("none", "no")
        ),
    )


def _look_up(name: str, user_config: Path) -> tuple[Mapping[str, object], Optional[str]]:
    parsed = paramiko.SSHConfig()
    entry_found_in = None
    for path in (user_config, SYSTEM_CONFIG):
        known_before = parsed.get_hostnames()
        try:
            # One after the other: what the first file says wins, as with OpenSSH.
            parsed.parse(_lines(path, relative_to=path.parent))
        except (OSError, UnicodeDecodeError, paramiko.SSHException) as error:
            raise SshConfigUnreadable(str(path), str(error)) from None
        if entry_found_in is None and name in parsed.get_hostnames() - known_before:
            entry_found_in = str(path)
    try:
        found = parsed.lookup(name)
    except (OSError, ValueError, KeyError, paramiko.SSHException) as error:
        raise SshConfigUnreadable(str(user_config), str(error)) from None
    for directive in _REFUSED:
        if str(found.get(directive) or "none").lower() != "none":
            raise SshConfigUnsupported(name, directive, entry_found_in or str(user_config))
    return found, entry_found_in


def _lines(path: Path, *, relative_to: Path, depth: int = 0) -> Iterator[str]:
    """The lines of a config file with its `Include`s put in, which paramiko does not do."""
    if not path.exists():
        return
    if depth > _MAX_INCLUDE_DEPTH:
        raise paramiko.SSHException(f"Include is nested too deeply at {path}")
    block = "Host *"
    for line in path.read_text().splitlines():
        keyword, _, argument = line.strip().replace("=", " ", 1).partition(" ")
        if keyword.lower() in ("host", "match"):
            block = line
        if keyword.lower() != "include":
            yield line
            continue
        for pattern in shlex.split(argument):
            absolute = relative_to / Path(pattern).expanduser()
            for included in sorted(glob.glob(str(absolute))):
                yield from _lines(Path(included), relative_to=relative_to, depth=depth + 1)
        # What the included file left open ends with it.
        yield block


def _text(found: Mapping[str, object], key: str) -> Optional[str]:
    value = found.get(key)
    return value if isinstance(value, str) else None


def _number(found: Mapping[str, object], key: str, default: int, source: Optional[str]) -> int:
    text = _text(found, key)
    if text is None or (key == "connecttimeout" and text == "none"):
        return default
    if not text.isdigit() or not 0 < int(text) < 65536:
        raise SshConfigUnreadable(source or "of this user", f"{key} cannot be {text!r}")
    return int(text)


def _identity_files(found: Mapping[str, object]) -> tuple[Path, ...]:
    named = found.get("identityfile")
    if isinstance(named, list):
        return tuple(Path(name).expanduser() for name in named if name.lower() != "none")
    return tuple(Path("~/.ssh", name).expanduser() for name in _DEFAULT_IDENTITIES)


def _known_hosts_files(found: Mapping[str, object]) -> tuple[Path, ...]:
    user = _text(found, "userknownhostsfile")
    system = _text(found, "globalknownhostsfile")
    names = [
        *(user.split() if user else _USER_KNOWN_HOSTS),
        *(system.split() if system else _SYSTEM_KNOWN_HOSTS),
    ]
    return tuple(Path(name).expanduser() for name in names if name.lower() != "none")
