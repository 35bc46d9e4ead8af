"""Adds or changes a `Host` entry for the Nix server in an SSH config, with the package sshconf.

Comments and order are preserved. Pure: text in, text out.
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
    """The settings of an entry; None: not changed."""

    alias: str
    hostname: Optional[str] = None
    port: Optional[int] = None
    user: Optional[str] = None
    identity: Optional[str] = None
    """A key file, in the form to write: `~/.ssh/nix-server`."""

    def directives(self) -> dict[str, str]:
        """The values by keyword. Raises `SetupInputUnusable` for values that need quoting."""
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
            # Otherwise the SSH agent's keys for other servers would be tried first.
            found["IdentitiesOnly"] = "yes"
        return found


def with_entry(text: str, entry: HostEntry) -> str:
    """The config with that entry added, or changed if it exists. Raises `SetupInputUnusable`."""
    wanted = entry.directives()
    config = SshConfigFile(text.splitlines())
    hosts = config.hosts()
    if entry.alias in hosts:
        if _MATCH.search(text):
            # sshconf considers a Match block a part of the Host block before it.
            where = "the SSH config"
            raise SetupInputUnusable(
                where, f"manual changes to Host {entry.alias}, because it has Match blocks"
            )
        config.set(entry.alias, **wanted)
    else:
        # The first value of a keyword applies: insert before entries for several hosts.
        several = next((host for host in hosts if _PATTERN.search(host)), None)
        config.add(entry.alias, before_host=several, **wanted)
    changed: str = config.config().strip("\n") + "\n"
    return changed


def difference(before: str, after: str, name: str) -> str:
    """A change as a unified diff."""
    lines = difflib.unified_diff(
        before.splitlines(keepends=True), after.splitlines(keepends=True), name, name
    )
    return "".join(line if line.endswith("\n") else f"{line}\n" for line in lines)
