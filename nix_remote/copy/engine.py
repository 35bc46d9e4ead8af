"""Copies a closure to the server.

    closure     queries the local store
    ask         queries valid paths on the server, with temporary roots for the top paths
    substitute  on request: the server first fetches paths from its substituters
    lock        makes temporary roots for valid paths, if paths are missing
    push        sends the missing paths, in dependency order
    secure      makes durable roots, waits for running collectors, queries validity again
    repeat      from `ask`, if the last query found a gap, at most `ROUNDS` times

When `run` returns, every path of the closure is valid on the server and reachable from a durable
root. Otherwise it raises. It also returns since when they are valid: until the settle time has
passed after that (`settling.py`), executors may not see them, and the caller has to wait.
"""

from __future__ import annotations

import enum
import time
from dataclasses import dataclass
from functools import cached_property
from typing import Callable, ContextManager, Final, Iterator, Mapping, Optional, Sequence

from nix_remote import events
from nix_remote.copy.retry import RetryPolicy
from nix_remote.copy.settling import ValidSince
from nix_remote.errors import ClosureNotKept, ContentDamaged, ContentDiffers, NixRemoteError
from nix_remote.local.store import LocalStore
from nix_remote.server.nix_errors import ReferenceVanished
from nix_remote.server.stores.base import DurableRoot, Outgoing, Question, RemoteStore
from nix_remote.store.closure import frontier
from nix_remote.store.paths import PathInfo, StorePath
from nix_remote.store.plan import Plan, PlannedPath, Reason, make_plan

ROUNDS: Final = 5
"""A gap means that something on the server deletes paths meanwhile. This bounds the attempts."""


class Check(enum.Enum):
    """How paths that are valid on the server are checked."""

    VALIDITY = "validity"
    """Not at all: Nix considers a valid path correct."""
    EXISTENCE = "existence"
    """They must exist on the server's disk. Reads no content."""
    CONTENTS = "contents"
    """Their content on the server's disk must equal the local copy. The server reads all of it."""


@dataclass(frozen=True)
class CopyOptions:
    """Options of a copy."""

    substitute_seconds: Optional[float] = None
    """How long the server may fetch paths from its substituters first; None: not at all."""
    check: Check = Check.VALIDITY
    replaced: frozenset[Reason] = frozenset()
    """The damages (`nix_remote.store.plan.DAMAGES`) for which a path is replaced; for others the
    copy fails. `check` decides which damages are found."""
    retry: RetryPolicy = RetryPolicy()


@dataclass(frozen=True)
class CopyResult:
    """The closure that the server keeps now."""

    closure: tuple[PathInfo, ...]
    """In dependency order."""
    sent: tuple[StorePath, ...]
    """The paths that were missing, in the order they were sent."""
    sent_bytes: int
    """NAR bytes of `sent`."""
    roots: Mapping[StorePath, str]
    """Top path -> its durable root: the absolute location on the server, if it is known."""
    valid_since: ValidSince
    """Of the top paths, on this machine's monotonic clock."""


OpenRemote = Callable[[Question], ContextManager[RemoteStore]]


@dataclass(frozen=True)
class Copy:
    """One copy: the closure, its source and destination, and options."""

    closure: Sequence[PathInfo]
    """In dependency order."""
    roots: Sequence[DurableRoot]
    alias: str
    local: LocalStore
    open_remote: OpenRemote
    """Opens a new session with the server, whose first question is the argument."""
    listener: events.Listener = events.ignore
    options: CopyOptions = CopyOptions()
    sleep: Callable[[float], None] = time.sleep
    now: Callable[[], float] = time.monotonic

    def run(self) -> CopyResult:
        """Makes the server keep the closure. Raises `NixRemoteError`."""
        sent: dict[StorePath, int] = {}
        since: dict[StorePath, float] = {}
        rounds = _Rounds(self.alias)
        failures = 0
        while True:
            try:
                with self.open_remote(self._question) as remote:
                    self._in_session(remote, rounds, sent, since)
                return CopyResult(
                    closure=tuple(self.closure),
                    sent=tuple(sent),
                    sent_bytes=sum(sent.values()),
                    roots={root.path: root.location for root in self.roots},
                    valid_since=since,
                )
            except ReferenceVanished:
                continue  # the session has ended; `rounds` bounds the repetitions
            except NixRemoteError as error:
                failures += 1
                delay = self.options.retry.delay(error, failures)
                if delay is None:
                    raise
                self.listener(events.Retrying(error, delay))
                self.sleep(delay)

    @cached_property
    def _question(self) -> Question:
        # If a top path is valid, its temporary root protects the whole closure.
        return Question(
            paths=tuple(info.path for info in self.closure),
            lock=tuple(root.path for root in self.roots),
        )

    def _in_session(
        self,
        remote: RemoteStore,
        rounds: _Rounds,
        sent: dict[StorePath, int],
        since: dict[StorePath, float],
    ) -> None:
        """Repeats the copy until there is no gap. Fills `sent` and `since`.

        Raises `ReferenceVanished` only if the session has ended.
        """
        self._substitute(remote)
        paths = self._question.paths
        while True:
            plan, asked = self._plan(remote)
            try:
                remote.push(self._outgoing(plan, sent))
            except ReferenceVanished:
                rounds.count(frozenset(info.path for info in plan.missing))
                if remote.ended:
                    raise
                continue
            pushed = self.now() if plan.missing else None
            secured = remote.secure(paths, self.roots)
            gap = frozenset(paths) - secured.valid
            if not gap:
                since.update(self._since(plan, asked, pushed, secured.since))
                return
            rounds.count(gap)

    def _since(
        self, plan: Plan, asked: float, pushed: Optional[float], registered: ValidSince
    ) -> ValidSince:
        """By when the closure of each top path was valid.

        `asked` and `pushed` are when the answers had arrived. `registered` is what the server's
        own times say.
        """
        new = frozenset(info.path for info in plan.missing)
        replaced = not new.isdisjoint(plan.valid)
        return {
            root.path: pushed
            if pushed is not None and (replaced or root.path in new)
            # Another copy may have sent it a moment ago.
            else min(asked, registered.get(root.path, asked))
            for root in self.roots
        }

    def _substitute(self, remote: RemoteStore) -> None:
        if self.options.substitute_seconds is None:
            return
        valid = remote.ask(self._question)
        wanted = tuple(info.path for info in self.closure if info.path not in valid)
        if wanted:
            remote.substitute(wanted, at_most=self.options.substitute_seconds)

    def _plan(self, remote: RemoteStore) -> tuple[Plan, float]:
        """The plan, and when the answer on which it is based had arrived."""
        valid = remote.ask(self._question)
        asked = self.now()
        plan = plan_copy(self.closure, valid, remote, self.options.check, self.options.replaced)
        self.listener(events.PlanReady(plan))
        self._refuse(plan.damaged)
        self.local.check_present(plan.missing)
        # The server deletes a path before its replacement arrives: check the replacement first.
        self.local.check_content([info for info in plan.missing if info.path in valid])
        remote.check_acceptable(plan.missing)
        if plan.missing:
            # Protect valid paths while the others are sent. If one was deleted since the query,
            # the server rejects the paths that refer to it, and `secure` finds the gap.
            remote.lock(frontier(self.closure, valid))
        return plan, asked

    def _refuse(self, damaged: Sequence[PlannedPath]) -> None:
        """Raises the error for damaged paths, if there are any."""
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
    """The plan for a closure, of which `valid` are valid on the server; runs the `check`.

    Raises `ContentsUnreadable` if the account may not check the server's disk.
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
    """Counts the gaps that were found."""

    def __init__(self, alias: str) -> None:
        self._alias = alias
        self._count = 0

    def count(self, gap: frozenset[StorePath]) -> None:
        """Counts a gap; raises `ClosureNotKept` at the bound."""
        self._count += 1
        if self._count == ROUNDS:
            raise ClosureNotKept(self._alias, len(gap), min(gap), ROUNDS)
