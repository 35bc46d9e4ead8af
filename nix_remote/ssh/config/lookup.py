"""The lookup of one host in the SSH config: the values found so far, and the file being read.

Of a directive the first value counts, as in OpenSSH, except for those in `keywords.SEVERAL`.
Reading files belongs in `files.py`, `Host` and `Match` in `match.py`, defaults in `resolve.py`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Optional

from nix_remote.ssh.config.keywords import Value
from nix_remote.ssh.config.tokens import LocalUser, connection_tokens, expanded


@dataclass(frozen=True)
class Source:
    """A config file that is being read."""

    path: Path
    is_users: bool
    """Whether it is one of the user's files; otherwise it is one of the system's."""
    final: bool
    """Whether this is the second pass, which `Match final` and canonical names need."""
    depth: int = 0
    """How many `Include` lines lead to it."""
    in_other_block: bool = False
    """Whether it is included from a block that does not apply, so that none of its blocks can."""


@dataclass
class Lookup:
    """The values that the config files set for a host."""

    name: str
    """The host name that the user gave."""
    local: LocalUser
    values: dict[str, Value] = field(default_factory=dict)
    """Values by directive. `None` stands for `none`."""
    several: dict[str, list[str]] = field(default_factory=dict)
    """Values of the directives in `keywords.SEVERAL`."""
    origins: dict[str, str] = field(default_factory=dict)
    """File and line by directive, for the user's own files only."""
    openssh_only: list[str] = field(default_factory=list)
    """Directives in force that only the `ssh` program may support, in words."""
    entry_found_in: Optional[str] = None
    """The first file with a block for this host, as opposed to one for all hosts."""
    wants_final_pass: bool = False

    def text(self, directive: str) -> Optional[str]:
        """The value of a text directive; None if it is not set or set to `none`."""
        value = self.values.get(directive)
        return value if isinstance(value, str) else None

    def number(self, directive: str, default: int) -> int:
        """The value of a number directive; the default if it is not set or set to `none`."""
        value = self.values.get(directive)
        return value if isinstance(value, int) else default

    def is_on(self, directive: str, *, default: bool = False) -> bool:
        """The value of a yes/no directive."""
        return bool(self.values.get(directive, default))

    def words(self, directive: str) -> Optional[tuple[str, ...]]:
        """The value of a list directive; None if it is not set."""
        value = self.values.get(directive)
        return tuple(str(word) for word in value) if isinstance(value, tuple) else None

    @property
    def proxy_command(self) -> Optional[str]:
        """The `ProxyCommand`, tokens not expanded; None if it is not set or set to `none`."""
        command = self.text("proxycommand")
        return None if command is None or command.lower() == "none" else command

    def host(self, *, final: bool) -> str:
        """The host name to connect to, as far as it is known. Raises `ValueError`."""
        hostname = self.text("hostname")
        if hostname is None:
            return self.name
        return hostname if final else expanded(hostname, {"h": self.name})

    def tokens(self, *, final: bool) -> dict[str, str]:
        """The values of `%x` tokens, as far as they are known. Raises `ValueError`."""
        host = self.host(final=final)
        jump = self.values.get("proxyjump")
        return connection_tokens(
            self.local,
            host=host,
            original=self.name,
            port=self.number("port", 22),
            user=self.text("user") or self.local.name,
            jump_host=getattr(jump[-1], "host", "") if isinstance(jump, tuple) else "",
            key_alias=self.text("hostkeyalias") or (self.name if final else host),
        )
