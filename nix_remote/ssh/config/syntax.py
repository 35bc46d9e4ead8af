"""The syntax of SSH config lines and of their arguments.

The meaning of directives belongs in `keywords.py`. All parsers raise `ValueError` with a reason
for error messages. No input or output, except for the services database.
"""

from __future__ import annotations

import re
import socket
from dataclasses import dataclass
from typing import Final, Optional

from nix_remote.text import decimal

_LINE: Final = re.compile(r'\s*("[^"]*"|[^\s="]+)[ \t\r\n]*=?[ \t\r\n]*(.*)', re.DOTALL)
_TIME_PART: Final = re.compile(r"([0-9]{1,20})(?:(\.[0-9]+)?(s|$)|([mhdw]))", re.IGNORECASE)
_UNITS: Final = {"m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}
_LARGEST: Final = 2**31 - 1
_DESTINATION: Final = re.compile(
    r"(?:ssh://)?(?:(?P<user>.+)@)?(?P<host>\[[^\]]+\]|[^:/\[\]@]+)(?::(?P<port>\w*))?"
)


@dataclass(frozen=True)
class Line:
    """A keyword and its arguments."""

    keyword: str
    """In lower case."""
    rest: str
    """The unparsed text after the keyword; commands are taken from it."""
    words: tuple[str, ...]
    """The words of `rest`, without quotes and comments."""


@dataclass(frozen=True)
class Destination:
    """`user@host:port`, as in `ProxyJump`."""

    host: str
    user: Optional[str] = None
    port: Optional[int] = None


def parse_line(text: str) -> Optional[Line]:
    """Parses a line; None if it is empty or a comment."""
    text = text.rstrip(" \t\r\n\f")
    if not text.strip() or text.lstrip().startswith("#"):
        return None
    found = _LINE.fullmatch(text)
    if found is None:
        raise ValueError("no keyword at the beginning of the line")
    keyword, rest = found[1].strip('"').lower(), found[2]
    if not rest:
        raise ValueError(f"{keyword} has no argument")
    return Line(keyword, rest, split_words(rest))


def split_words(text: str) -> tuple[str, ...]:
    """Splits words as OpenSSH does: single and double quotes, some escapes, `#` for a comment."""
    words = []
    at = 0
    while at < len(text):
        if text[at] in " \t":
            at += 1
            continue
        if text[at] == "#":
            break
        word, at = _word(text, at)
        words.append(word)
    return tuple(words)


def _word(text: str, at: int) -> tuple[str, int]:
    """The word that begins at an index, and the index of its end."""
    word, quote = "", ""
    while at < len(text):
        letter, following = text[at], text[at + 1 : at + 2]
        if letter == "\\" and following and following in ("'\"\\" if quote else "'\"\\ "):
            word += following
            at += 1
        elif not quote and letter in " \t":
            break
        elif not quote and letter in "'\"":
            quote = letter
        elif quote and letter == quote:
            quote = ""
        else:
            word += letter
        at += 1
    if quote:
        raise ValueError("unterminated quote")
    return word, at


def parse_seconds(text: str) -> int:
    """Parses a time such as `90`, `1m30s` or `2h`, in whole seconds."""
    total, at, seconds_seen = 0, 0, False
    while at < len(text):
        part = _TIME_PART.match(text, at)
        if part is None or (part[4] is None and seconds_seen):
            raise ValueError(f"invalid time {text!r} (examples: 90, 1m30s, 2h)")
        seconds_seen = seconds_seen or part[4] is None
        total += int(part[1]) * _UNITS.get((part[4] or "").lower(), 1)
        at = part.end()
    if not text or total > _LARGEST:
        raise ValueError(f"invalid time {text!r} (examples: 90, 1m30s, 2h)")
    return total


def parse_number(text: str) -> int:
    """Parses a number that is not negative."""
    value = decimal(text.removeprefix("+"), at_most=_LARGEST)
    if value is None:
        raise ValueError(f"invalid number {text!r}")
    return value


def parse_port(text: str) -> int:
    """Parses a port number, or the name of a port in the services database."""
    port = decimal(text)
    if port is None:
        try:
            port = socket.getservbyname(text, "tcp")
        except OSError:
            port = 0
    if not 0 < port < 65536:
        raise ValueError(f"invalid port {text!r}")
    return port


def parse_destination(text: str) -> Destination:
    """Parses a jump host of `ProxyJump`."""
    found = _DESTINATION.fullmatch(text)
    if found is None:
        raise ValueError(f"invalid host {text!r} (format: [user@]host[:port])")
    port = parse_port(found["port"]) if found["port"] else None
    return Destination(found["host"].strip("[]"), found["user"], port)
