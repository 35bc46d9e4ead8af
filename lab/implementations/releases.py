"""The protocols and the texts of each release of Nix, Lix and Determinate Nix.

From the published sources: NixOS/nix 2.4 to its main branch of August 2026 (2.36.0),
lix-project/lix 2.90.0 to its main branch of July 2026 (2.96.0-dev), DeterminateSystems/nix-src
3.0.0 to 3.22.2. Nix 2.8.0, 2.26.3 and 2.34.8 were run as well.

Belongs here: facts about releases. Not: how nix_remote interprets them. Pure.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Iterator, Mapping, Optional

from nix_remote.protocol.implementations import Implementation, Kind, Version
from nix_remote.protocol.nix_messages import Meaning
from nix_remote.protocol.versions import ProtocolVersion


@dataclass(frozen=True)
class Speech:
    """What a release speaks."""

    worker: ProtocolVersion
    serve: ProtocolVersion
    decodes: bool
    """Whether `nix-daemon --stdio` of an ordinary account decodes requests: it greets for itself,
    and makes durable roots (AddPermRoot) with the account's own rights. Others pass bytes on."""
    asks_once: bool = False
    """Whether it asks the daemon only once per session for each temporary root."""


def _speech(worker: int, serve: int = 7, *more: str) -> Speech:
    minor = ProtocolVersion(1, worker), ProtocolVersion(2, serve)
    return Speech(*minor, decodes="decodes" in more, asks_once="asks once" in more)


SPEECHES: Final[Mapping[Kind, Mapping[Version, Speech]]] = {
    Kind.NIX: {
        (2, 4): _speech(32),
        (2, 7): _speech(33),
        (2, 8): _speech(34),
        (2, 15): _speech(35),
        (2, 20): _speech(37, 7, "decodes"),
        (2, 24): _speech(38, 7, "decodes"),
        (2, 35): _speech(38, 8, "decodes"),
        (2, 36): _speech(38, 8, "decodes", "asks once"),
    },
    # From 2.94 on it refuses clients below 1.35. AddPermRoot does not exist.
    Kind.LIX: {(2, 90): _speech(35)},
}
"""From which release on. Determinate Nix speaks as the Nix that it is based on."""


@dataclass(frozen=True)
class Sentence:
    """A sentence, and the releases that say it."""

    meaning: Meaning
    text: str
    """`PATH` and `OTHER` stand for store paths, `USER` for an account."""
    said_by: Mapping[Kind, tuple[Version, Optional[Version]]]
    """The first release, and the first one that does not say it any more."""


_EVER: Final[tuple[Version, Optional[Version]]] = ((0,), None)
_ALL: Final = {Kind.NIX: _EVER, Kind.LIX: _EVER}
DAEMON_SOCKET: Final = "/nix/var/nix/daemon-socket/socket"


def _before(version: Version) -> tuple[Version, Optional[Version]]:
    return ((0,), version)


def _since(version: Version) -> tuple[Version, Optional[Version]]:
    return (version, None)


SENTENCES: Final = (
    Sentence(
        Meaning.SIGNATURE_LACKING,
        "cannot add path 'PATH' because it lacks a valid signature",
        {Kind.NIX: _before((2, 12))},
    ),
    Sentence(
        Meaning.SIGNATURE_LACKING,
        "cannot add path 'PATH' because it lacks a signature by a trusted key",
        {Kind.NIX: _since((2, 12)), Kind.LIX: _EVER},
    ),
    Sentence(
        Meaning.NOT_VALID,
        "path 'OTHER' is not valid",
        {Kind.NIX: _EVER, Kind.LIX: _before((2, 91))},
    ),
    Sentence(
        Meaning.NOT_VALID,
        "path 'OTHER' does not exist in the Lix database",
        {Kind.LIX: _since((2, 91))},
    ),
    # A program that is to make a root.
    Sentence(Meaning.NOT_VALID, "don't know how to build these paths:\n  PATH", _ALL),
    Sentence(
        Meaning.OTHER_CONTENT,
        "hash mismatch importing path 'PATH';\n  specified: a\n  got:       b",
        _ALL,
    ),
    Sentence(
        Meaning.OTHER_CONTENT,
        "size mismatch importing path 'PATH';\n  specified: 1\n  got:       2",
        _ALL,
    ),
    Sentence(
        Meaning.OTHER_CONTENT_ADDRESS,
        "ca hash mismatch importing path 'PATH';\n  specified: a\n  got:       b",
        _ALL,
    ),
    Sentence(
        Meaning.OTHER_CONTENT_ADDRESS,
        "cannot add path 'PATH' to the Nix store because it claims to be content-addressed but"
        " isn't",
        _ALL,
    ),
    # And 2.28.7, 2.29.4, 2.30.5, 2.31.5, 2.32.8 of the earlier branches.
    Sentence(
        Meaning.TOO_DEEP,
        "bad archive: NAR directory nesting exceeds maximum depth of 64",
        {Kind.NIX: _since((2, 34, 7))},
    ),
    Sentence(
        Meaning.TOO_DEEP,
        "path 'PATH' exceeds maximum NAR directory depth of 64",
        {Kind.NIX: _since((2, 34, 7))},
    ),
    Sentence(Meaning.NAME_TOO_LONG, "creating directory 'PATH/d': File name too long", _ALL),
    Sentence(Meaning.NAME_TOO_LONG, "NAR contains invalid file name 'xxxx'", _ALL),
    Sentence(Meaning.ENDED, "unexpected end-of-file", _ALL),
    Sentence(Meaning.DISK_FULL, "writing to file: No space left on device", _ALL),
    Sentence(
        Meaning.DISK_FULL, "executing SQLite statement: database or disk is full (in ...)", _ALL
    ),
    Sentence(Meaning.QUOTA_EXCEEDED, "writing to file: Disk quota exceeded", _ALL),
    Sentence(Meaning.READ_ONLY, "attempt to write a readonly database (in ...)", _ALL),
    Sentence(Meaning.READ_ONLY, "creating file: Read-only file system", _ALL),
    Sentence(
        Meaning.READ_ONLY,
        "Nix database directory '/nix/var/nix/db' is not writable: Permission denied",
        {Kind.NIX: _before((2, 34)), Kind.LIX: _EVER},
    ),
    Sentence(
        Meaning.READ_ONLY,
        'Nix database directory "/nix/var/nix/db" is not writable: Permission denied',
        {Kind.NIX: _since((2, 34))},
    ),
    Sentence(
        Meaning.DAEMON_ENDED,
        "Nix daemon disconnected unexpectedly (maybe it crashed?)",
        {Kind.NIX: _since((2, 19)), Kind.LIX: _before((2, 94))},
    ),
    Sentence(
        Meaning.DAEMON_ENDED,
        "unexpected EOF from daemon socket",
        {Kind.NIX: _before((2, 20)), Kind.LIX: _before((2, 95))},
    ),
    Sentence(
        Meaning.DAEMON_ENDED,
        "splicing data from daemon socket to stdout: Connection reset by peer",
        {Kind.NIX: _before((2, 20)), Kind.LIX: _before((2, 94))},
    ),
    Sentence(Meaning.DAEMON_ENDED, "peer disconnected unexpectedly", {Kind.LIX: _since((2, 95))}),
    Sentence(
        Meaning.SOCKET_CLOSED,
        f"cannot connect to socket at '{DAEMON_SOCKET}': Permission denied",
        {Kind.NIX: _EVER, Kind.LIX: _before((2, 95))},
    ),
    Sentence(
        Meaning.NO_DAEMON,
        f"cannot connect to socket at '{DAEMON_SOCKET}': Connection refused",
        {Kind.NIX: _EVER, Kind.LIX: _before((2, 95))},
    ),
    # It does not say which.
    Sentence(
        Meaning.NOT_REACHED,
        f"could not connect to any lix socket (tried {DAEMON_SOCKET})",
        {Kind.LIX: _since((2, 95))},
    ),
    Sentence(Meaning.NOT_ALLOWED, "user 'USER' is not allowed to connect to the Nix daemon", _ALL),
    Sentence(
        Meaning.NOT_ALLOWED,
        "the user 'USER' is not allowed to connect to the Nix daemon as its group is 'nixbld',"
        " which is the group of users running the sandboxed builds.",
        {Kind.LIX: _since((2, 95))},
    ),
)


def _nix(*version: int) -> Implementation:
    return Implementation(Kind.NIX, version)


def _lix(*version: int) -> Implementation:
    return Implementation(Kind.LIX, version)


def _determinate(version: Version, upstream: Version) -> Implementation:
    return Implementation(Kind.DETERMINATE, version, upstream)


USUAL: Final = (_nix(2, 18, 9), _lix(2, 93, 3))
"""What most servers have that do not have one of the versions of Debian."""

REPLAYED: Final = (
    *USUAL,
    *(_nix(2, 4), _nix(2, 7, 0), _nix(2, 11, 1), _nix(2, 15, 3), _nix(2, 19, 7), _nix(2, 20, 9)),
    *(_nix(2, 24, 15), _nix(2, 28, 7), _nix(2, 31, 5), _nix(2, 32, 8)),
    *(_nix(2, 35, 2), _nix(2, 36, 0)),
    *(_lix(2, 90, 0), _lix(2, 91, 3), _lix(2, 92, 3), _lix(2, 94, 2), _lix(2, 95, 3)),
    _lix(2, 96, 0),
    *(_determinate((3, 0, 0), (2, 26, 3)), _determinate((3, 8, 6), (2, 30, 2))),
    *(_determinate((3, 17, 3), (2, 33, 3)), _determinate((3, 22, 2), (2, 35, 2))),
)
"""At least one release for each row of the tables above."""


def speech(release: Implementation) -> Speech:
    """What a release speaks."""
    kind, version = _based_on(release)
    since = [first for first in SPEECHES[kind] if first <= version]
    return SPEECHES[kind][max(since)]


def sentences(release: Implementation) -> Iterator[Sentence]:
    """What a release says."""
    kind, version = _based_on(release)
    for sentence in SENTENCES:
        first, end = sentence.said_by.get(kind, (version, version))
        if first <= version and (end is None or version < end):
            yield sentence


def greeting(release: Implementation) -> str:
    """The version in the greeting of the worker protocol, from 1.33 on."""
    return ".".join(map(str, _based_on(release)[1]))


def printed(release: Implementation, program: str) -> str:
    """What a program prints for `--version`."""
    name = {
        Kind.NIX: "Nix",
        Kind.LIX: "Lix, like Nix",
        Kind.DETERMINATE: str(release),
    }[release.kind]
    return f"{program} ({name}) {greeting(release)}"


def _based_on(release: Implementation) -> tuple[Kind, Version]:
    if release.upstream is not None:
        return Kind.NIX, release.upstream
    return release.kind, release.version
