"""The Nix server's store, as the copier sees it: one interface, whatever protocol is spoken.

Pure.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Iterator, Mapping, Protocol, Sequence

from nix_remote.store.paths import PathInfo, StorePath


class Damage(enum.Enum):
    """What may be wrong with a path that the server's database calls valid."""

    ABSENT = "gone"
    """Nothing is on the disk under its name."""
    CHANGED = "changed"
    """What is on the disk has another hash than the one registered, or cannot be read."""


@dataclass(frozen=True)
class Outgoing:
    """A path to be sent. Its content is read when its turn comes."""

    info: PathInfo
    nar: Iterator[bytes]
    replace: bool = False
    """Whether it replaces what the server has under that name, which is valid there."""


@dataclass(frozen=True)
class DurableRoot:
    """A link on the server that keeps a path, and all it needs, for longer than a session."""

    path: StorePath
    location: str
    """Relative to the home folder of the account."""


@dataclass(frozen=True)
class Question:
    """Which of `paths` are valid; `lock` get temporary roots before that is looked up."""

    paths: tuple[StorePath, ...]
    lock: tuple[StorePath, ...] = ()


class RemoteStore(Protocol):
    """A session with the Nix server's store. Its temporary roots live as long as it does."""

    @property
    def ended(self) -> bool:
        """Whether the session is over: another one is needed."""

    def ask(self, question: Question) -> frozenset[StorePath]:
        """Takes the temporary roots asked for; returns the paths that are valid.

        A temporary root of a valid path keeps its closure from collectors that
        begin later. One that already runs may delete it all the same: the answer
        is final only after `secure`.
        """

    def lock(self, paths: Sequence[StorePath]) -> None:
        """Takes temporary roots, and does not wait for it."""

    def check_acceptable(self, infos: Sequence[PathInfo]) -> None:
        """Raises `TrustError` if it is known beforehand that the server will refuse one."""

    def registered(self, paths: Sequence[StorePath]) -> Mapping[StorePath, PathInfo]:
        """What the server has registered of those of `paths` that are valid."""

    def absent(self, paths: Sequence[StorePath]) -> frozenset[StorePath]:
        """Those of these valid paths that are not on the server's disk.

        Raises `ContentsUnreadable` if the account may not look.
        """

    def damaged(self, infos: Sequence[PathInfo]) -> Mapping[StorePath, Damage]:
        """Has the server read these valid paths; returns those that are not as registered there.

        Raises `ContentsUnreadable` if the account may not look.
        """

    def substitute(self, paths: Sequence[StorePath], *, at_most: float) -> None:
        """Lets the server get `paths` from its own caches, for at most that many seconds.

        Returns when it has tried, or when the time is over; which paths are
        valid afterwards, `ask` says.
        """

    def push(self, paths: Sequence[Outgoing]) -> None:
        """Sends paths, given in dependency order, and waits until all are registered.

        Raises `ReferenceVanished`, or a `NixRemoteError` for what cannot heal; before
        anything is sent, `ReplacementImpossible` where a path is to replace another one and
        the protocol has no request for that.
        """

    def secure(
        self, paths: Sequence[StorePath], roots: Sequence[DurableRoot]
    ) -> frozenset[StorePath]:
        """Makes durable roots, waits for running collectors to end, looks again: in this order.

        Returns which of `paths` are valid, without those whose root could not be
        made because they were not. If it returns all of them, they stay valid: a
        collector that began before the roots existed has ended before the look, and
        a later one counts the roots. This rests on no temporary root and on no version.
        Raises `RootRefused` and `CollectorNotAwaited`.
        """

    def renew(self, roots: Sequence[DurableRoot]) -> None:
        """Makes durable roots again whose paths this session keeps: their time is now.

        Takes no part in keeping paths, so it waits for no collector. Raises
        `RootRefused`, and `ReferenceVanished` if a path is not valid any more.
        """
