"""Carries out a copy: from store paths to a server that keeps their closure.

    closure     of the local store
    ask         what is valid on the server, below a temporary root if all of it is
    substitute  if asked for: the server first looks in its own caches
    lock        temporary roots for what is there, if something is missing
    push        what is missing, in dependency order
    secure      durable roots; running collectors are waited for; the last look
    again       from `ask`, if the last look found a gap, at most `ROUNDS` times

When `copy` returns, every path of the closure is valid on the server and
reachable from a durable root. Otherwise it raises.
"""

from __future__ import annotations

import enum
import time
from dataclasses import dataclass
from functools import cached_property
from typing import Callable, ContextManager, Final, Iterator, Mapping, Optional, Sequence

from nix_remote import events
from nix_remote.copy.retry import RetryPolicy
from nix_remote.errors import ClosureNotKept, ContentDamaged, ContentDiffers, NixRemoteError
from nix_remote.local.store import LocalStore
from nix_remote.server.nix_errors import ReferenceVanished
from nix_remote.server.stores.base import DurableRoot, Outgoing, Question, RemoteStore
from nix_remote.store.closure import frontier
from nix_remote.store.paths import PathInfo, StorePath
from nix_remote.store.plan import Plan, PlannedPath, Reason, make_plan

ROUNDS: Final = 5
"""A gap means that something on the server deletes paths while we look; give up in the end."""


class Check(enum.Enum):
    """What is asked about paths that are valid on the server already."""

    VALIDITY = "validity"
    """Nothing more: Nix takes a valid path for the right one."""
    EXISTENCE = "existence"
    """Whether they are on the server's disk at all. Reads no content."""
    CONTENTS = "contents"
    """Whether their content on the server's disk is the same as here. The server reads it all."""


@dataclass(frozen=True)
class CopyOptions:
    """How a copy is to be done."""

    substitute_seconds: Optional[float] = None
    """How long the server may look in its own caches first; None: not at all."""
    check: Check = Check.VALIDITY
    replaced: frozenset[Reason] = frozenset()
    """For which damages (`nix_remote.store.plan.DAMAGES`) a path is sent again in its place; for
    the others the copy fails. They are found only as far as `check` looks."""
    retry: RetryPolicy = RetryPolicy()


@dataclass(frozen=True)
class CopyResult:
    """What the server now keeps."""

    closure: tuple[PathInfo, ...]
    """In dependency order."""
    sent: tuple[StorePath, ...]
    """The paths that were missing, in the order they were sent."""
    sent_bytes: int
    """NAR bytes of `sent`."""
    roots: Mapping[StorePath, str]
    """Top path -> its durable root: the absolute location on the server, where that is known."""


OpenRemote = Callable[[Question], ContextManager[RemoteStore]]


@dataclass(frozen=True)
class Copy:
    """One copy: what, from where, to where."""

    closure: Sequence[PathInfo]
    """In dependency order."""
    roots: Sequence[DurableRoot]
    alias: str
    local: LocalStore
    open_remote: OpenRemote
    """A new session with the server, each time it is called, to ask this first."""
    listener: events.Listener = events.ignore
    options: CopyOptions = CopyOptions()
    sleep: Callable[[float], None] = time.sleep

    def run(self) -> CopyResult:
        """Makes the server keep the closure. Raises `NixRemoteError`."""
        sent: dict[StorePath, int] = {}
        rounds = _Rounds(self.alias)
        failures = 0
        while True:
            try:
                with self.open_remote(self._question) as remote:
                    self._in_session(remote, rounds, sent)
                return CopyResult(
                    closure=tuple(self.closure),
                    sent=tuple(sent),
                    sent_bytes=sum(sent.values()),
                    roots={root.path: root.location for root in self.roots},
                )
            except ReferenceVanished:
                continue  # it ended the session; the rounds are counted
            except NixRemoteError as error:
                failures += 1
                delay = self.options.retry.delay(error, failures)
                if delay is None:
                    raise
                self.listener(events.Retrying(error, delay))
                self.sleep(delay)

    @cached_property
    def _question(self) -> Question:
        # Where a top path is valid, its temporary root keeps the whole closure.
        return Question(
            paths=tuple(info.path for info in self.closure),
            lock=tuple(root.path for root in self.roots),
        )

    def _in_session(self, remote: RemoteStore, rounds: _Rounds, sent: dict[StorePath, int]) -> None:
        """Round after round until there is no gap.

        `ReferenceVanished` leaves it only if the session is over.
        """
        self._substitute(remote)
        paths = self._question.paths
        while True:
            plan = self._plan(remote)
            try:
                remote.push(self._outgoing(plan, sent))
            except ReferenceVanished:
                rounds.count(frozenset(info.path for info in plan.missing))
                if remote.ended:
                    raise
                continue
            gap = frozenset(paths) - remote.secure(paths, self.roots)
            if not gap:
                return
            rounds.count(gap)

    def _substitute(self, remote: RemoteStore) -> None:
        if self.options.substitute_seconds is None:
            return
        valid = remote.ask(self._question)
        wanted = tuple(info.path for info in self.closure if info.path not in valid)
        if wanted:
            remote.substitute(wanted, at_most=self.options.substitute_seconds)

    def _plan(self, remote: RemoteStore) -> Plan:
        valid = remote.ask(self._question)
        plan = plan_copy(self.closure, valid, remote, self.options.check, self.options.replaced)
        self.listener(events.PlanReady(plan))
        self._refuse(plan.damaged)
        self.local.check_present(plan.missing)
        # What is there is deleted before the new content has arrived: that must be right.
        self.local.check_content([info for info in plan.missing if info.path in valid])
        remote.check_acceptable(plan.missing)
        if plan.missing:
            # What is there must stay while the rest is sent. Should something have gone since
            # it was asked for, the server refuses what refers to it, and `secure` sees it.
            remote.lock(frontier(self.closure, valid))
        return plan

    def _refuse(self, damaged: Sequence[PlannedPath]) -> None:
        """Raises the error for valid paths that are not as they should be, if there are any."""
        if not damaged:
            return
        first, more = damaged[0], len(damaged) - 1
        if first.reason is Reason.DIFFERENT:
            raise ContentDiffers(self.alias, first.info.path, more)
        absent = first.reason is Reason.ABSENT
        raise ContentDamaged(
            self.alias,
            first.info.path,
            "is not on its disk" if absent else "has changed there",
            more,
        )

    def _outgoing(self, plan: Plan, sent: dict[StorePath, int]) -> list[Outgoing]:
        def nar(info: PathInfo) -> Iterator[bytes]:
            sent[info.path] = info.nar_size
            yield from self.local.nar(info)

        valid = plan.valid
        return [Outgoing(info, nar(info), info.path in valid) for info in plan.missing]


def plan_copy(
    closure: Sequence[PathInfo],
    valid: frozenset[StorePath],
    remote: RemoteStore,
    check: Check,
    replaced: frozenset[Reason] = frozenset(),
) -> Plan:
    """The plan for a closure of which `valid` is on the server; asks it what `check` wants.

    Raises `ContentsUnreadable` if the account may not look at the server's disk.
    """
    if check is Check.VALIDITY or not valid:
        return make_plan(closure, valid)
    there = [info for info in closure if info.path in valid]
    if check is Check.EXISTENCE:
        absent = remote.absent([info.path for info in there])
        return make_plan(closure, valid, {}, dict.fromkeys(absent, Reason.ABSENT), replaced)
    damaged = {path: Reason(damage.value) for path, damage in remote.damaged(there).items()}
    return make_plan(closure, valid, remote.registered(tuple(valid)), damaged, replaced)


class _Rounds:
    """Counts how often a gap was found."""

    def __init__(self, alias: str) -> None:
        self._alias = alias
        self._count = 0

    def count(self, gap: frozenset[StorePath]) -> None:
        """One more; raises `ClosureNotKept` when it is enough."""
        self._count += 1
        if self._count == ROUNDS:
            raise ClosureNotKept(self._alias, len(gap), min(gap), ROUNDS)
