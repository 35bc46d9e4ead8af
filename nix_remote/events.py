"""What the copier tells whoever watches it: frozen values, no text meant for people.

`nix_remote.cli.render` turns them into lines and progress; a program that
uses the library may do what it likes with them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Callable, Union

from nix_remote.copy.plan import Plan
from nix_remote.wire.types import StorePath


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


@dataclass(frozen=True)
class BytesSent:
    """So many bytes of NARs have gone out in all."""

    total: int


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
class Waiting:
    """Nothing has moved for a while."""

    waiting_for: str
    seconds: float


@dataclass(frozen=True)
class ServerSaid:
    """A log line of the server."""

    text: str


Event = Union[Connected, PlanReady, BytesSent, PathDone, RootMade, Waiting, ServerSaid]

Listener = Callable[[Event], None]


def ignore(_: Event) -> None:
    """The listener that does nothing."""
