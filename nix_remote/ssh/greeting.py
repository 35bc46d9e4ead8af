"""What a server sends before its SSH greeting, or instead of one (RFC 4253, 4.2). Pure.

Both transports read it: paramiko from its log, the other one from the output of `ssh`.
"""

from __future__ import annotations

from typing import Final, Iterable

_SENT_BY_A_BUSY_SERVER: Final = ("Exceeded MaxStartups", "Not allowed at this time")


def is_of_busy_server(lines: Iterable[str]) -> bool:
    """Whether a server that closes the connection after these lines is a busy sshd.

    Older versions of sshd send no line at all.
    """
    return all(line.strip() in ("", *_SENT_BY_A_BUSY_SERVER) for line in lines)


def no_greeting(lines: Iterable[str]) -> str:
    """Why a server that closes the connection after these lines is no SSH server."""
    first = next(iter(lines), "").strip()
    return (
        f"the server sends {first[:80]!r}, which is not an SSH greeting, and closes the connection"
    )
