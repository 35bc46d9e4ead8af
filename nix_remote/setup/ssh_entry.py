"""A `Host` entry for the Nix server in an SSH config. Reading and changing it is sshconf's work.

Comments and order stay as they are. Pure: text in, text out.
"""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass
from typing import Final, Optional

from sshconf import SshConfigFile  # type: ignore[import-untyped]

from nix_remote.errors import SetupInputUnusable

_WORD: Final = re.compile(r"[A-Za-z0-9_.:%@\[\]~/+-]+")
_MATCH: Final = re.compile(r"^\s*match\b", re.I | re.M)
_PATTERN: Final = re.compile(r"[*?!]")


@dataclass(frozen=True)
class HostEntry:
    """What an entry is to say; what is None is not touched."""

    alias: str
    hostname: Optional[str] = None
    port: Optional[int] = None
    user: Optional[str] = None
    identity: Optional[str] = None
    """A key file, as it is to be written: `~/.ssh/nix-server`."""

    def directives(self) -> dict[str, str]:
        """By keyword. Raises `SetupInputUnusable` for what could be read as something else."""
        chosen = {
            "HostName": self.hostname,
            "Port": None if self.port is None else str(self.port),
            "User": self.user,
            "IdentityFile": self.identity,
        }
        found = {keyword: value for keyword, value in chosen.items() if value is not None}
        for keyword, value in found.items():
            if not _WORD.fullmatch(value) or value.startswith("-"):
                raise SetupInputUnusable(keyword, "a word of letters, digits and . _ : @ / ~ + -")
        if self.identity is not None:
            # Keys of other servers that an agent holds would be tried first.
            found["IdentitiesOnly"] = "yes"
        return found


def with_entry(text: str, entry: HostEntry) -> str:
    """The config with that entry added, or changed if it is there. Raises `SetupInputUnusable`."""
    wanted = entry.directives()
    config = SshConfigFile(text.splitlines())
    hosts = config.hosts()
    if entry.alias in hosts:
        if _MATCH.search(text):
            # sshconf takes a Match block for a part of the Host block before it.
            where = "the SSH config"
            raise SetupInputUnusable(where, f"Host {entry.alias} by hand: it has Match blocks")
        config.set(entry.alias, **wanted)
    else:
        # The first value wins: before the entries that are about several hosts.
        several = next((host for host in hosts if _PATTERN.search(host)), None)
        config.add(entry.alias, before_host=several, **wanted)
    changed: str = config.config().strip("\n") + "\n"
    return changed


def difference(before: str, after: str, name: str) -> str:
    """What a change does, as a unified diff."""
    lines = difflib.unified_diff(
        before.splitlines(keepends=True), after.splitlines(keepends=True), name, name
    )
    return "".join(line if line.endswith("\n") else f"{line}\n" for line in lines)
