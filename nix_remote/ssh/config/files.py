"""What the SSH config files say about one host: `Include`, `Host`, `Match`, first value wins.

Reads as OpenSSH does, twice if need be (`Match final`, canonical host names).
paramiko has a parser too, but one that cannot tell which file a value is
from, knows no `Include` and no `Match final`, and splits words otherwise: to
repair it would be more than this. What values mean is in `config_keywords`.
"""

from __future__ import annotations

import glob
import grp
import stat
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final, Optional, Sequence

from nix_remote.errors import SshConfigUnreadable
from nix_remote.processes import ProcessFailed, exit_status
from nix_remote.ssh import patterns
from nix_remote.ssh.config import keywords
from nix_remote.ssh.config.keywords import Value
from nix_remote.ssh.config.syntax import Line, parse_line
from nix_remote.ssh.config.tokens import (
    LocalUser,
    connection_tokens,
    expanded,
    tilde_expanded,
)

SYSTEM_CONFIG: Final = Path("/etc/ssh/ssh_config")
_SYSTEM_FOLDER: Final = Path("/etc/ssh")
_MAX_DEPTH: Final = 16
_MAX_SIZE: Final = 4 * 1024 * 1024
_MATCH_EXEC_TIMEOUT: Final = 30.0


@dataclass(frozen=True)
class _Source:
    """A file that is being read, and what holds for all of it."""

    path: Path
    is_users: bool
    final: bool
    """Whether this is the second reading."""
    depth: int = 0
    in_other_block: bool = False
    """Included from a block that does not apply: nothing in it can apply either."""


@dataclass
class Found:
    """What has been found so far about a host."""

    name: str
    """As it was asked for."""
    local: LocalUser
    values: dict[str, Value] = field(default_factory=dict)
    """What was set, by directive. `None` stands for `none`."""
    several: dict[str, list[str]] = field(default_factory=dict)
    """The same for the directives in `config_keywords.SEVERAL`."""
    origins: dict[str, str] = field(default_factory=dict)
    """File and line by directive; only of the user's own files."""
    beyond_us: list[str] = field(default_factory=list)
    """Directives that apply and that only the `ssh` program may know."""
    entry_found_in: Optional[str] = None
    """The first file with a block for this host, not just for all hosts."""
    wants_final_reading: bool = False

    def text(self, directive: str) -> Optional[str]:
        """A value that is a text; None if it is not set, or set to `none`."""
        value = self.values.get(directive)
        return value if isinstance(value, str) else None

    def number(self, directive: str, default: int) -> int:
        """A value that is a number; `none` and not being set are the default."""
        value = self.values.get(directive)
        return value if isinstance(value, int) else default

    def is_on(self, directive: str, *, default: bool = False) -> bool:
        """A value that is yes or no."""
        return bool(self.values.get(directive, default))

    def words(self, directive: str) -> Optional[tuple[str, ...]]:
        """A value that is a list of words; None if it is not set."""
        value = self.values.get(directive)
        return tuple(str(word) for word in value) if isinstance(value, tuple) else None

    def host(self, *, final: bool) -> str:
        """The host's name as far as it is known. Raises `ValueError`."""
        hostname = self.text("hostname")
        if hostname is None:
            return self.name
        return hostname if final else expanded(hostname, {"h": self.name})

    def tokens(self, *, final: bool) -> dict[str, str]:
        """What `%x` stands for as far as it is known. Raises `ValueError`."""
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


def read(found: Found, config: Optional[Path], *, final: bool = False) -> None:
    """Adds what the config files say. Raises `SshConfigUnreadable`.

    With `config`, that file alone, which has to exist; else the user's and the system's.
    """
    if config is not None:
        if not config.exists():
            raise SshConfigUnreadable(str(config), "there is no such file")
        _read_file(found, _Source(config, is_users=True, final=final), active=True)
        return
    own = Path(found.local.home) / ".ssh" / "config"
    _check_permissions(own, found.local)
    _read_file(found, _Source(own, is_users=True, final=final), active=True)
    _read_file(found, _Source(SYSTEM_CONFIG, is_users=False, final=final), active=True)


def _read_file(found: Found, source: _Source, *, active: bool) -> None:
    if source.depth > _MAX_DEPTH:
        raise SshConfigUnreadable(str(source.path), "Include is nested too deeply")
    for number, text in enumerate(_lines(source.path), 1):
        try:
            line = parse_line(text)
            if line is None:
                continue
            if line.keyword == "host":
                # In the second reading, the host is what it was found to be.
                name = found.host(final=True) if source.final else found.name
                active = not source.in_other_block and _host_applies(name, line.words)
            elif line.keyword == "match":
                active = _match_applies(found, line.words, source) and not source.in_other_block
            elif line.keyword == "include":
                _include(found, line, source, active=active)
            else:
                _take(found, line, source, number, active=active)
            if active and line.keyword in ("host", "match") and _is_specific(line.words):
                found.entry_found_in = found.entry_found_in or str(source.path)
        except ValueError as error:
            raise SshConfigUnreadable(str(source.path), f"line {number}: {error}") from None


def _lines(path: Path) -> Sequence[str]:
    try:
        with open(path, encoding="utf-8", errors="surrogateescape") as file:
            text = file.read(_MAX_SIZE + 1)
    except FileNotFoundError:
        return ()
    except OSError as error:
        raise SshConfigUnreadable(str(path), error.strerror or str(error)) from None
    if len(text) > _MAX_SIZE or "\0" in text:
        raise SshConfigUnreadable(str(path), "it is no SSH configuration")
    return text.split("\n")


def _check_permissions(path: Path, local: LocalUser) -> None:
    """Whoever can write a config can run commands as its user."""
    try:
        status = path.stat()
    except OSError:
        return  # reading it says what is wrong
    writable = status.st_mode & stat.S_IWOTH or (
        status.st_mode & stat.S_IWGRP and not _is_private_group(status.st_gid, local)
    )
    if status.st_uid not in (0, local.number) or writable:
        raise SshConfigUnreadable(
            str(path), f"others can write to it, and OpenSSH refuses it, too: chmod 600 {path}"
        )


def _is_private_group(number: int, local: LocalUser) -> bool:
    """Whether a group is the user's own, as Debian makes one for everybody."""
    try:
        group = grp.getgrgid(number)
    except KeyError:
        return False
    return group.gr_name == local.name and set(group.gr_mem) <= {local.name}


def _take(found: Found, line: Line, source: _Source, number: int, *, active: bool) -> None:
    keyword = keywords.ALIASES.get(line.keyword, line.keyword)
    if keyword in keywords.WITHOUT_EFFECT:
        return
    parse = keywords.FOLLOWED.get(keyword)
    if parse is None:
        ignored = found.text("ignoreunknown")
        if active and not (ignored and patterns.matches_list(keyword, ignored)):
            found.beyond_us.append(f"{keyword} ({source.path}, line {number})")
        return
    value = parse(line)
    if not active:
        return
    if keyword in keywords.SEVERAL:
        values = found.several.setdefault(keyword, [])
        if value not in values:
            values.append(str(value))
        return
    if keyword == "proxyjump" and value is not None and "proxycommand" not in found.values:
        # Whichever of the two comes first wins over the other.
        if "proxyjump" not in found.values:
            found.values["proxycommand"] = "none"
    elif keyword == "proxyjump" and value is not None:
        return
    if keyword not in found.values:
        found.values[keyword] = value
        if source.is_users:
            found.origins[keyword] = f"{source.path}, line {number}"


def _host_applies(name: str, words: Sequence[str]) -> bool:
    if not words or "" in words:
        raise ValueError("Host needs names")
    applies = False
    for word in words:
        if patterns.matches(name, word.removeprefix("!")):
            if word.startswith("!"):
                return False
            applies = True
    return applies


def _is_specific(words: Sequence[str]) -> bool:
    return not all(word in ("*", "all", "final", "canonical") for word in words)


def _include(found: Found, line: Line, source: _Source, *, active: bool) -> None:
    # Here, and nowhere else, the home folder is what the environment says.
    home = found.local.environment.get("HOME") or found.local.home
    includer = replace(found.local, home=home)
    for word in line.words:
        name = expanded(word, found.tokens(final=source.final), found.local.environment)
        if name.startswith("~"):
            if not source.is_users:
                raise ValueError(f"{name}: the system's config cannot include by ~")
            name = tilde_expanded(name, includer)
        folder = Path(includer.home, ".ssh") if source.is_users else _SYSTEM_FOLDER
        for path in sorted(glob.glob(str(folder / name))):
            _check_permissions(Path(path), found.local)
            included = _Source(
                Path(path),
                source.is_users,
                source.final,
                source.depth + 1,
                source.in_other_block or not active,
            )
            _read_file(found, included, active=active)


_WITHOUT_ARGUMENT: Final = ("all", "final", "canonical")
_WITH_ARGUMENT: Final = (
    *("host", "originalhost", "user", "localuser", "tagged", "exec", "sessiontype"),
    *("command", "localnetwork", "version"),
)


def _match_applies(found: Found, words: Sequence[str], source: _Source) -> bool:
    """Whether all conditions hold. Raises `ValueError` for what is no condition."""
    applies = True
    rest = list(words)
    if not rest:
        raise ValueError("Match needs conditions")
    conditions = 0
    while rest:
        condition, equals, argument = rest.pop(0).partition("=")
        negated = condition.startswith("!")
        condition = condition.removeprefix("!").lower()
        if condition in _WITHOUT_ARGUMENT:
            if condition == "all" and (rest or conditions > 1):
                raise ValueError("Match all cannot be combined")
            if condition == "final" and not negated:
                found.wants_final_reading = True
            holds = condition == "all" or source.final
        elif condition in _WITH_ARGUMENT:
            if not equals:
                if not rest:
                    raise ValueError(f"Match {condition} needs an argument")
                argument = rest.pop(0)
            # What decides nothing any more is not run.
            decided = not applies or source.in_other_block
            holds = not decided and _condition_holds(found, condition, argument, source)
        else:
            raise ValueError(f"Match {condition} is not a condition")
        conditions += 1
        applies = applies and holds is not negated
    return applies


def _condition_holds(found: Found, condition: str, argument: str, source: _Source) -> bool:
    if condition == "host":
        return patterns.host_matches_list(found.host(final=source.final), argument)
    if condition == "originalhost":
        return patterns.host_matches_list(found.name, argument)
    if condition == "exec":
        return _succeeds(expanded(argument, found.tokens(final=source.final)), found.local)
    if condition in ("command", "localnetwork", "version"):
        # What is run, which interfaces there are, who connects: theirs differ from ours.
        found.beyond_us.append(f"Match {condition} ({source.path})")
        return False
    text = {
        "user": found.text("user") or found.local.name,
        "localuser": found.local.name,
        "tagged": found.text("tag") or "",
        "sessiontype": "exec",
    }[condition]
    return patterns.matches_list(text, argument) if text else not argument


def _succeeds(command: str, local: LocalUser) -> bool:
    shell = local.environment.get("SHELL") or "/bin/sh"
    try:
        status = exit_status(
            [shell, "-c", command], timeout=_MATCH_EXEC_TIMEOUT, environment=local.environment
        )
    except ProcessFailed as error:
        raise ValueError(f"Match exec: {error}") from None
    return status == 0
