"""The events of a copy: frozen values, without text for people.

`nix_remote.cli.render` turns them into lines and progress. Programs that use the library may
handle them in any way.
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
    """Transport, cipher, protocol and versions, as text."""


@dataclass(frozen=True)
class PlanReady:
    """The plan of the copy is known."""

    plan: Plan
    for_others: tuple[PathInfo, ...] = ()
    """Paths that are sent for other invocations in the same copy, which ends with all of them."""


@dataclass(frozen=True)
class BytesSent:
    """`count` more bytes of a path's NAR were sent."""

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
    """`done` of the durable roots to remove were removed, or kept because they are in use."""

    done: int
    total: int


@dataclass(frozen=True)
class Waiting:
    """There was no progress for some seconds."""

    waiting_for: str
    seconds: float


@dataclass(frozen=True)
class Settling:
    """All is copied; the copy ends when executors see the new paths, in some seconds."""

    seconds: float


@dataclass(frozen=True)
class SubstitutionAbandoned:
    """The server did not substitute all paths, or not in time; the missing ones are sent."""

    why: str


@dataclass(frozen=True)
class SessionNotAdded:
    """The server accepted no further session for sending; the copy uses the open ones."""

    why: str


@dataclass(frozen=True)
class Retrying:
    """The copy begins again on a new connection, after a delay."""

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
    Settling,
    SubstitutionAbandoned,
    SessionNotAdded,
    Retrying,
    ServerSaid,
]

Listener = Callable[[Event], None]


def ignore(_: Event) -> None:
    """The listener that does nothing."""
