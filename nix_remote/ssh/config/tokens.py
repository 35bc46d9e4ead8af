"""Expansion of tokens, variables and home folders in SSH config values: `%h`, `${HOME}`, `~/`."""

from __future__ import annotations

import hashlib
import pwd
import re
import socket
from dataclasses import dataclass
from typing import Final, Mapping, Optional

_PART: Final = re.compile(r"%(.?)|\$\{([^}]*)(\}?)", re.DOTALL)


@dataclass(frozen=True)
class LocalUser:
    """The local user and this machine.

    The home folder comes from the password database, as in OpenSSH: under Bazel, `HOME` may
    name another folder.
    """

    name: str
    uid: int
    home: str
    hostname: str
    environment: Mapping[str, str]

    @property
    def shell(self) -> str:
        """The shell that runs the config's commands, as in OpenSSH."""
        return self.environment.get("SHELL") or "/bin/sh"


def tilde_expanded(text: str, user: LocalUser) -> str:
    """Expands a leading `~` or `~USER` to a home folder. Raises `ValueError`."""
    if not text.startswith("~"):
        return text
    name, _, path = text[1:].partition("/")
    if name:
        try:
            home = pwd.getpwnam(name).pw_dir
        except KeyError:
            raise ValueError(f"{text}: no such user: {name}") from None
    else:
        home = user.home
    return f"{home.rstrip('/')}/{path.lstrip('/')}"


def expanded(
    text: str, tokens: Mapping[str, str], variables: Optional[Mapping[str, str]] = None
) -> str:
    """Expands `%x` tokens, and `${NAME}` if `variables` are given.

    Raises `ValueError` for a token that the directive does not have, and for an unset variable.
    """

    def value(part: re.Match[str]) -> str:
        token, variable, closed = part.groups()
        if token is not None:
            if token == "%":
                return "%"
            if token not in tokens:
                raise ValueError(f"{text}: unknown token %{token}")
            return tokens[token]
        if variables is None:
            return part[0]
        if not closed or variable not in variables:
            raise ValueError(f"{text}: ${{{variable}}} is not set")
        return variables[variable]

    return _PART.sub(value, text)


def connection_tokens(
    local: LocalUser,
    *,
    host: str,
    original: str,
    port: int,
    user: str,
    jump_host: str,
    key_alias: str,
) -> dict[str, str]:
    """The values of the tokens that most directives have."""
    connection = f"{local.hostname}{host}{port}{user}{jump_host}"
    return {
        "C": hashlib.sha1(connection.encode(), usedforsecurity=False).hexdigest(),
        "L": local.hostname.partition(".")[0],
        "d": local.home,
        "h": host,
        "i": str(local.uid),
        "j": jump_host,
        "k": key_alias,
        "l": local.hostname,
        "n": original,
        "p": str(port),
        "r": user,
        "u": local.name,
    }


def local_user(uid: int, environment: Mapping[str, str]) -> LocalUser:
    """The local user with that user ID. Raises `ValueError` if there is none."""
    try:
        entry = pwd.getpwuid(uid)
    except KeyError:
        raise ValueError(f"no user has the ID {uid} (see: getent passwd)") from None
    return LocalUser(entry.pw_name, uid, entry.pw_dir, socket.gethostname(), environment)
