"""Patterns of the messages of Nix, Lix and Determinate Nix, and the meaning of each. Pure.

None of them has error codes, and their programs confirm success with a message only, so we match
messages. This module has every message that the package parses. The patterns cover Nix 2.4 to 2.36,
Lix 2.90 to 2.96 and Determinate Nix 3.0 to 3.22, according to their sources.

Belongs here: patterns and meanings. Not: errors for meanings (`server/nix_errors.py`), version
output (`implementations.py`).
"""

from __future__ import annotations

import enum
import re
from typing import Final, Optional


class Meaning(enum.Enum):
    """The meaning of a message."""

    # When a path is added: operation 39 of the worker protocol, command 9 of the serve protocol.
    SIGNATURE_LACKING = "no trusted key has signed the path"
    NOT_VALID = "a reference, or the path of a root, is not valid"
    OTHER_CONTENT_ADDRESS = "the content has another content address"
    OTHER_CONTENT = "the content differs from the registered hash or size"
    TOO_DEEP = "the path has too many levels of folders"
    NAME_TOO_LONG = "a file name is too long"
    ENDED = "the stream ended early"
    # At any time.
    DISK_FULL = "the disk is full"
    QUOTA_EXCEEDED = "the disk quota is exceeded"
    READ_ONLY = "the store is not writable"
    DAEMON_ENDED = "the daemon ended the connection"
    # Before a session begins.
    SOCKET_CLOSED = "the account may not open the daemon's socket"
    NO_DAEMON = "no daemon accepts connections"
    NOT_REACHED = "one of these two; the message does not say which"
    NOT_ALLOWED = "the daemon does not serve the account"


Table = tuple[tuple[Meaning, re.Pattern[str]], ...]
"""The first row whose pattern matches applies."""


def match(table: Table, message: str) -> Optional[Meaning]:
    """The meaning of a message; None if no row matches."""
    return next((meaning for meaning, pattern in table if pattern.search(message)), None)


ADDING_A_PATH: Final[Table] = (
    # "a valid signature" up to Nix 2.11, "a signature by a trusted key" from 2.12 on, and in Lix.
    (Meaning.SIGNATURE_LACKING, re.compile(r"lacks a (valid )?signature")),
    # The second form is Lix's, from 2.91 on; the third is that of a program that makes a root.
    # The path that is added need not exist: these messages are about its references.
    (
        Meaning.NOT_VALID,
        re.compile(
            r"path '[^']*' (is not valid|does not exist in the Lix database)"
            r"|don't know how to build"
        ),
    ),
    # Only reported when the hash of the whole content is correct.
    (
        Meaning.OTHER_CONTENT_ADDRESS,
        re.compile(r"ca hash mismatch|claims to be content-addressed but isn't"),
    ),
    (Meaning.OTHER_CONTENT, re.compile(r"(hash|size) mismatch")),
    # Nix 2.34.7 and later: while the path is received, and while its content address is computed.
    (
        Meaning.TOO_DEEP,
        re.compile(r"NAR directory nesting exceeds|exceeds maximum NAR directory depth"),
    ),
    (Meaning.NAME_TOO_LONG, re.compile(r"File name too long|NAR contains invalid file name")),
    # The only program of a restricted account prints it as well, if another one was requested.
    (Meaning.ENDED, re.compile(r"unexpected end-of-file")),
)

STORE_STATE: Final[Table] = (
    (Meaning.DISK_FULL, re.compile(r"No space left on device|database or disk is full")),
    (Meaning.QUOTA_EXCEEDED, re.compile(r"[Dd]isk quota exceeded")),
    (
        Meaning.READ_ONLY,
        re.compile(
            r"readonly database|[Rr]ead-only file system|unable to open database file"
            r"|database directory .* is not writable"
        ),
    ),
    # From the process that forwards an ordinary account's requests to the daemon. The second form
    # is that of Lix from 2.95 on, the third that of Nix before 2.20 and of Lix before 2.95.
    (
        Meaning.DAEMON_ENDED,
        re.compile(
            r"[Dd]aemon disconnected unexpectedly|peer disconnected unexpectedly"
            r"|EOF from daemon socket|Connection reset by peer|Broken pipe"
        ),
    ),
)

OPENING_A_SESSION: Final[Table] = (
    (Meaning.SOCKET_CLOSED, re.compile(r"cannot connect to socket at .*Permission denied")),
    (Meaning.NO_DAEMON, re.compile(r"cannot connect to socket at")),
    # Lix from 2.95 on.
    (Meaning.NOT_REACHED, re.compile(r"could not connect to any lix socket")),
    # The daemon hangs up; only its own log has the first form. Lix 2.95 and later reject accounts
    # in the group of the build users as well.
    (
        Meaning.NOT_ALLOWED,
        re.compile(
            r"is not allowed to connect to the Nix daemon|cannot open connection to remote store"
            r"|[Dd]aemon disconnected unexpectedly|peer disconnected unexpectedly|daemon socket"
        ),
    ),
)

OTHER_PROTOCOL: Final = "protocol mismatch"
"""`nix-daemon --stdio`, if the client speaks the serve protocol."""

COLLECTED: Final = "store paths deleted"
"""`nix-store --gc`, at its end: "0 store paths deleted, 0.00 MiB freed"."""

MODIFIED: Final = re.compile(r"path '(?P<path>/nix/store/[^']+)' was modified")
"""`nix-store --verify-path`, for a path whose content has another hash."""

UNREADABLE: Final = re.compile(
    r"error: .*'/?(?P<path>/nix/store/[^/']+)/?(?P<below>[^']*)'(?P<why>.*)"
)
"""`nix-store --verify-path`, for a path that it cannot read. Nix 2.26 begins the path with two
slashes, and 2.34 ends it with one."""

ABSENT: Final = re.compile(r"does not exist|No such file or directory")
"""The reason of `UNREADABLE`, if the path does not exist."""


def root_lines(location: str, path: str) -> tuple[str, str]:
    """The line of `nix-store --gc --print-roots` for a root, in two forms.

    The second form is that of Nix 2.34 and later, which quote the location.
    """
    quoted = location.replace("\\", "\\\\").replace('"', '\\"')
    return f"{location} -> {path}", f'"{quoted}" -> {path}'
