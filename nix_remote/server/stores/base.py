"""The interface of the Nix server's store, independent of the protocol.

Pure.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from typing import Iterator, Mapping, Protocol, Sequence

from nix_remote.store.paths import PathInfo, StorePath


class Damage(enum.Enum):
    """Damage of a path that is valid in the server's database."""

    ABSENT = "gone"
    """The path does not exist on the disk."""
    CHANGED = "changed"
    """The content on the disk differs from the registered hash, or cannot be read."""


@dataclass(frozen=True)
class Outgoing:
    """A path to be sent. Its content is read when it is sent."""

    info: PathInfo
    nar: Iterator[bytes]
    replace: bool = False
    """Whether it replaces a valid path on the server."""


@dataclass(frozen=True)
class DurableRoot:
    """A link on the server that keeps a path and its closure, also after the session."""

    path: StorePath
    location: str
    """Relative to the home folder of the account."""


@dataclass(frozen=True)
class Question:
    """Which of `paths` are valid. The server first makes temporary roots for `lock`."""

    paths: tuple[StorePath, ...]
    lock: tuple[StorePath, ...] = ()


@dataclass(frozen=True)
class Secured:
    """What the server keeps after `RemoteStore.secure`."""

    valid: frozenset[StorePath]
    """The paths that are valid, without top paths that have no root."""
    since: Mapping[StorePath, float] = field(default_factory=dict)
    """Top path -> by when it was valid: seconds on this machine's monotonic clock. Only paths of
    which the server's own times say it. The closure of a path was valid before the path was."""


class RemoteStore(Protocol):
    """A session with the Nix server's store. Its temporary roots live as long as it does."""

    @property
    def ended(self) -> bool:
        """Whether the session has ended, so that a new one is needed."""

    def ask(self, question: Question) -> frozenset[StorePath]:
        """Makes the temporary roots of the question; returns the paths that are valid.

        A temporary root of a valid path protects its closure from collectors that begin later.
        A collector that already runs may still delete it: the answer is final only after
        `secure`.
        """

    def lock(self, paths: Sequence[StorePath]) -> None:
        """Requests temporary roots, and does not wait for the replies."""

    def check_acceptable(self, infos: Sequence[PathInfo]) -> None:
        """Raises `TrustError` if it is certain that the server will reject one of the paths."""

    def registered(self, paths: Sequence[StorePath]) -> Mapping[StorePath, PathInfo]:
        """The registered infos of those of `paths` that are valid."""

    def absent(self, paths: Sequence[StorePath]) -> frozenset[StorePath]:
        """The valid paths that are not on the server's disk.

        Raises `ContentsUnreadable` if the account may not run the check.
        """

    def damaged(self, infos: Sequence[PathInfo]) -> Mapping[StorePath, Damage]:
        """Lets the server read these valid paths; returns those that are damaged.

        Raises `ContentsUnreadable` if the account may not run the check.
        """

    def substitute(self, paths: Sequence[StorePath], *, at_most: float) -> None:
        """Lets the server fetch `paths` from its substituters, for at most that many seconds.

        Returns when the server has tried, or when the time is over. Call `ask` to find out which
        paths are valid afterwards.
        """

    def push(self, paths: Sequence[Outgoing]) -> None:
        """Sends paths, given in dependency order, and waits until all are registered.

        Raises `ReferenceVanished` if a reference is no longer valid, otherwise a
        `NixRemoteError`. Raises `ReplacementImpossible` before anything is sent if a path is to
        be replaced and the protocol cannot do that.
        """

    def secure(self, paths: Sequence[StorePath], roots: Sequence[DurableRoot]) -> Secured:
        """Makes durable roots, waits for running collectors, then queries validity, in this order.

        Returns which of `paths` are valid, without top paths that have no root because they were
        not valid. If these are all of them, they stay valid: a collector that began before the
        roots existed has ended before the query, and a later one counts the roots. This relies
        neither on temporary roots nor on version numbers. Raises `RootRefused` and
        `CollectorNotAwaited`.
        """

    def renew(self, roots: Sequence[DurableRoot]) -> None:
        """Makes durable roots again, to renew their time of last use.

        This session already protects their paths, so it does not wait for collectors. Raises
        `RootRefused`, and `ReferenceVanished` if a path is no longer valid.
        """
