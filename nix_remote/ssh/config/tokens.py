"""Values of an SSH config with parts to fill in: `%h`, `${HOME}`, `~/`."""

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
    """Who connects, and from where.

    From the password database, as OpenSSH has it: `HOME` is somewhere else under
    Bazel at times.
    """

    name: str
    number: int
    home: str
    hostname: str
    environment: Mapping[str, str]


def tilde_expanded(text: str, user: LocalUser) -> str:
    """Puts a home folder in for a leading `~` or `~somebody`. Raises `ValueError`."""
    if not text.startswith("~"):
        return text
    name, _, path = text[1:].partition("/")
    if name:
        try:
            home = pwd.getpwnam(name).pw_dir
        except KeyError:
            raise ValueError(f"{text}: there is no user {name}") from None
    else:
        home = user.home
    return f"{home.rstrip('/')}/{path.lstrip('/')}"


def expanded(
    text: str, tokens: Mapping[str, str], variables: Optional[Mapping[str, str]] = None
) -> str:
    """Puts values in for `%x`, and for `${NAME}` where `variables` are given.

    Raises `ValueError` for a token that has no value here, and for a variable that is not set.
    """

    def value(part: re.Match[str]) -> str:
        token, variable, closed = part.groups()
        if token is not None:
            if token == "%":
                return "%"
            if token not in tokens:
                raise ValueError(f"{text}: %{token} is not known here")
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
    """What the tokens of nearly every directive stand for."""
    connection = f"{local.hostname}{host}{port}{user}{jump_host}"
    return {
        "C": hashlib.sha1(connection.encode(), usedforsecurity=False).hexdigest(),
        "L": local.hostname.partition(".")[0],
        "d": local.home,
        "h": host,
        "i": str(local.number),
        "j": jump_host,
        "k": key_alias,
        "l": local.hostname,
        "n": original,
        "p": str(port),
        "r": user,
        "u": local.name,
    }


def local_user(number: int, environment: Mapping[str, str]) -> LocalUser:
    """The user with that number, on this machine. Raises `ValueError` if there is none."""
    try:
        entry = pwd.getpwuid(number)
    except KeyError:
        raise ValueError(f"no user has the number {number} (see: getent passwd)") from None
    return LocalUser(entry.pw_name, number, entry.pw_dir, socket.gethostname(), environment)
