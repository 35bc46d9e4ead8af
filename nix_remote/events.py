"""What the copier tells whoever watches it: frozen values, no text meant for people.

`nix_remote.cli.render` turns them into lines and progress; a program that
uses the library may do what it likes with them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Callable, Union

from nix_remote.errors import NixRemoteError
from nix_remote.store.paths import PathInfo, StorePath
from nix_remote.store.plan import Plan
from nix_remote.text import PeerText


@dataclass(frozen=True)
class Connected:
    """A session with the Nix server is open."""

    host: str
    description: str
    """Transport, cipher, protocol and versions, in words."""


@dataclass(frozen=True)
class PlanReady:
    """It is known what has to be sent."""

    plan: Plan
    for_others: tuple[PathInfo, ...] = ()
    """What other invocations send in the same copy, which ends when all of it is there."""


@dataclass(frozen=True)
class BytesSent:
    """So many more bytes of a path's NAR have gone out."""

    path: StorePath
    count: int


@dataclass(frozen=True)
class PathDone:
    """The server has registered a path."""

    path: StorePath


@dataclass(frozen=True)
class RootMade:
    """A durable root exists on the server."""

    path: StorePath
    location: str


@dataclass(frozen=True)
class RootsVisited:
    """So many of the durable roots to be removed are gone, or were found in use and stay."""

    done: int
    total: int


@dataclass(frozen=True)
class Waiting:
    """Nothing has moved for a while."""

    waiting_for: str
    seconds: float


@dataclass(frozen=True)
class SubstitutionAbandoned:
    """The server could not get paths from its own caches, or not in time; they are sent."""

    why: str


@dataclass(frozen=True)
class SessionNotAdded:
    """The server gave us no further session to send through; it goes on with those there are."""

    why: str


@dataclass(frozen=True)
class Retrying:
    """The copy is begun again on a new connection, after a while."""

    cause: NixRemoteError
    seconds: float


@dataclass(frozen=True)
class ServerSaid:
    """A log line of the server."""

    text: PeerText


Event = Union[
    Connected,
    PlanReady,
    BytesSent,
    PathDone,
    RootMade,
    RootsVisited,
    Waiting,
    SubstitutionAbandoned,
    SessionNotAdded,
    Retrying,
    ServerSaid,
]

Listener = Callable[[Event], None]


def ignore(_: Event) -> None:
    """The listener that does nothing."""
