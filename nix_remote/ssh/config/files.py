"""Reads the SSH config files: `Include`, blocks, and the first value of each directive.

Reads as OpenSSH does, with a second pass where `Match final` or a canonical host name needs it.
paramiko's own parser does not record which file a value comes from, supports neither `Include`
nor `Match final`, and splits words differently. The arguments of directives are parsed in
`keywords.py`.
"""

from __future__ import annotations

import glob
import grp
import stat
from dataclasses import replace
from pathlib import Path
from typing import Final, Optional, Sequence

from nix_remote.errors import SshConfigUnreadable
from nix_remote.ssh import patterns
from nix_remote.ssh.config import keywords
from nix_remote.ssh.config.lookup import Lookup, Source
from nix_remote.ssh.config.match import host_applies, is_specific, match_applies
from nix_remote.ssh.config.syntax import Line, parse_line
from nix_remote.ssh.config.tokens import LocalUser, expanded, tilde_expanded

SYSTEM_CONFIG: Final = Path("/etc/ssh/ssh_config")
_SYSTEM_FOLDER: Final = Path("/etc/ssh")
_MAX_DEPTH: Final = 16
_MAX_SIZE: Final = 4 * 1024 * 1024


def read(found: Lookup, config: Optional[Path], *, final: bool = False) -> None:
    """Adds the values that the config files set. Raises `SshConfigUnreadable`.

    With `config`, reads that file alone, which must exist; otherwise the user's and the system's.
    """
    if config is not None:
        if not config.exists():
            raise SshConfigUnreadable(str(config), "no such file")
        _read_file(found, Source(config, is_users=True, final=final), active=True)
        return
    own = Path(found.local.home) / ".ssh" / "config"
    _check_permissions(own, found.local)
    _read_file(found, Source(own, is_users=True, final=final), active=True)
    _read_file(found, Source(SYSTEM_CONFIG, is_users=False, final=final), active=True)


def _read_file(found: Lookup, source: Source, *, active: bool) -> None:
    if source.depth > _MAX_DEPTH:
        raise SshConfigUnreadable(str(source.path), "Include is nested too deeply")
    for number, text in enumerate(_lines(source.path), 1):
        try:
            line = parse_line(text)
            if line is None:
                continue
            if line.keyword == "host":
                active = host_applies(found, line.words, source)
            elif line.keyword == "match":
                active = match_applies(found, line.words, source)
            elif line.keyword == "include":
                _include(found, line, source, active=active)
            else:
                _take(found, line, source, number, active=active)
            if active and line.keyword in ("host", "match") and is_specific(line.words):
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
        raise SshConfigUnreadable(str(path), "not an SSH configuration")
    return text.split("\n")


def _check_permissions(path: Path, local: LocalUser) -> None:
    """Refuses a file that other users can write to: it can make us run commands."""
    try:
        status = path.stat()
    except OSError:
        return  # reading it raises the error
    writable = status.st_mode & stat.S_IWOTH or (
        status.st_mode & stat.S_IWGRP and not _is_private_group(status.st_gid, local)
    )
    if status.st_uid not in (0, local.uid) or writable:
        raise SshConfigUnreadable(
            str(path), f"other users can write to it, so OpenSSH refuses it too: chmod 600 {path}"
        )


def _is_private_group(gid: int, local: LocalUser) -> bool:
    """Whether a group has this user alone, as Debian creates one for each user."""
    try:
        group = grp.getgrgid(gid)
    except KeyError:
        return False
    return group.gr_name == local.name and set(group.gr_mem) <= {local.name}


def _take(found: Lookup, line: Line, source: Source, number: int, *, active: bool) -> None:
    keyword = keywords.ALIASES.get(line.keyword, line.keyword)
    if keyword in keywords.WITHOUT_EFFECT:
        return
    parse = keywords.FOLLOWED.get(keyword)
    if parse is None:
        ignored = found.text("ignoreunknown")
        if active and not (ignored and patterns.matches_list(keyword, ignored)):
            found.openssh_only.append(f"{keyword} ({source.path}, line {number})")
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
        # Of ProxyJump and ProxyCommand, the first one counts.
        if "proxyjump" not in found.values:
            found.values["proxycommand"] = "none"
    elif keyword == "proxyjump" and value is not None:
        return
    if keyword not in found.values:
        found.values[keyword] = value
        if source.is_users:
            found.origins[keyword] = f"{source.path}, line {number}"


def _include(found: Lookup, line: Line, source: Source, *, active: bool) -> None:
    # For Include alone, OpenSSH takes the home folder from the environment.
    home = found.local.environment.get("HOME") or found.local.home
    includer = replace(found.local, home=home)
    for word in line.words:
        name = expanded(word, found.tokens(final=source.final), found.local.environment)
        if name.startswith("~"):
            if not source.is_users:
                raise ValueError(f"{name}: the system's config cannot include files by ~")
            name = tilde_expanded(name, includer)
        folder = Path(includer.home, ".ssh") if source.is_users else _SYSTEM_FOLDER
        for path in sorted(glob.glob(str(folder / name))):
            _check_permissions(Path(path), found.local)
            included = Source(
                Path(path),
                source.is_users,
                source.final,
                source.depth + 1,
                source.in_other_block or not active,
            )
            _read_file(found, included, active=active)
