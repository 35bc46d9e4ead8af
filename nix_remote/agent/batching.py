"""Who waits for what on one server, what is known of it, and what is copied next. Sans-IO.

*Group commit*: whatever waits when a copy begins is one copy, of the union of
the closures; whoever comes meanwhile is in the next one. So a path that
several want is sent once.

*Belief*: a root that was made in the session that is open now, whose closure
the session's temporary roots keep, is answered without asking. When the
session ends, nothing is believed any more; but what was answered while it was
believed is owed: it is made sure of again, with the next copy or before leaving.

*Renewal*: a root's time on the server is the time of its last use, and roots that are old
are removed. A root that was used without asking the server is renewed soon afterwards, and
at most once per `RENEWAL_INTERVAL`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Iterable, Optional, Sequence

from nix_remote.copy.engine import CopyOptions
from nix_remote.copy.retry import RetryPolicy
from nix_remote.errors import (
    LocalStoreError,
    NixRemoteError,
    PromiseError,
    TransferError,
    TrustError,
)
from nix_remote.server.stores.base import DurableRoot
from nix_remote.store.closure import in_dependency_order
from nix_remote.store.paths import PathInfo, StorePath

_OF_ITS_PATHS: Final = (LocalStoreError, PromiseError, TransferError, TrustError)
"""Failures that one job's paths may have caused; all others would meet every job."""


RENEWAL_INTERVAL: Final = 60.0
"""Seconds between two renewals of one root that is used all the time."""
_FIRST_RENEWAL: Final = 5.0
"""Seconds after a copy has made a root, during which that counts for later uses as well."""
RENEWED_RECENTLY: Final = 900.0
"""Seconds. Well below the time for which pruning keeps every root that was used."""
_LONGEST_DELAY: Final = 3600.0
"""Seconds between two attempts to renew a root that cannot be renewed."""


def is_of_paths(error: Exception) -> bool:
    """Whether other paths may fare better."""
    return isinstance(error, _OF_ITS_PATHS)


@dataclass(frozen=True, eq=False)
class Job:
    """What one invocation wants: the closure of some paths, kept by these roots."""

    closure: tuple[PathInfo, ...]
    """In dependency order."""
    roots: tuple[DurableRoot, ...]
    options: CopyOptions = CopyOptions()


@dataclass(frozen=True)
class Group:
    """Jobs that are one copy."""

    jobs: tuple[Job, ...]
    renewed: tuple[Job, ...]
    """What is owed: nobody waits for it."""

    @property
    def closure(self) -> tuple[PathInfo, ...]:
        """The union of the closures, in dependency order."""
        infos: dict[StorePath, PathInfo] = {}
        for job in (*self.jobs, *self.renewed):
            for info in job.closure:
                infos.setdefault(info.path, info)
        return tuple(infos.values())

    @property
    def roots(self) -> tuple[DurableRoot, ...]:
        """All roots, each once."""
        every = (root for job in (*self.jobs, *self.renewed) for root in job.roots)
        return tuple(dict.fromkeys(every))

    @property
    def options(self) -> CopyOptions:
        """The same for all of them. For what nobody waits for, nothing is tried twice."""
        return self.jobs[0].options if self.jobs else CopyOptions(retry=RetryPolicy(retries=0))

    def attributed(self, sent: Iterable[StorePath]) -> dict[Job, list[StorePath]]:
        """Which job a path was sent for: the first that wants it."""
        owners: dict[StorePath, Job] = {}
        for job in self.jobs:
            for info in job.closure:
                owners.setdefault(info.path, job)
        result: dict[Job, list[StorePath]] = {job: [] for job in self.jobs}
        for path in sent:
            if path in owners:
                result[owners[path]].append(path)
        return result


@dataclass(frozen=True)
class _Renewal:
    """When a root was made or renewed, and for how long that counts for later uses."""

    time: float
    lasts: float
    """Seconds."""

    def is_younger(self, seconds: float, now: float) -> bool:
        """Also false if the clock was put back."""
        return 0 <= now - self.time < seconds


class Batching:
    """The state of one server's line."""

    def __init__(self) -> None:
        self._waiting: list[Job] = []
        self._alone: list[Group] = []
        """Those whose group failed, perhaps because of another one's paths."""
        self._infos: dict[StorePath, PathInfo] = {}
        self._believed: dict[DurableRoot, Job] = {}
        self._owed: dict[DurableRoot, Job] = {}
        self._renewals: dict[DurableRoot, _Renewal] = {}
        self._used: dict[DurableRoot, None] = {}
        """Answered from knowledge since they were made or renewed."""

    @property
    def waiting(self) -> int:
        """How many jobs wait for a copy to begin."""
        return len(self._waiting) + sum(len(group.jobs) for group in self._alone)

    @property
    def believed(self) -> frozenset[DurableRoot]:
        """What is known to be kept, while the session lives."""
        return frozenset(self._believed)

    @property
    def owes(self) -> bool:
        """Whether something that was answered has to be made sure of again."""
        return bool(self._owed)

    def knows(self, job: Job) -> bool:
        """Whether the job is done already, if the session lives.

        Only what was asked of the server counts: a job that wants more than
        validity has to be asked for.
        """
        return job.options.check is CopyOptions.check and all(
            root in self._believed for root in job.roots
        )

    def used(self, roots: Iterable[DurableRoot]) -> None:
        """These were answered from knowledge just now."""
        self._used.update(dict.fromkeys(roots))

    def renewed_recently(self, roots: Iterable[DurableRoot], now: float) -> bool:
        """Whether the server knows that these are in use, as far as pruning is concerned.

        `now` in seconds, on the clock that `succeeded` is given.
        """
        return all(self._renewals[root].is_younger(RENEWED_RECENTLY, now) for root in roots)

    def due(self, now: float) -> tuple[DurableRoot, ...]:
        """The roots that are to be renewed."""
        return tuple(
            root
            for root in self._used
            if not self._renewals[root].is_younger(self._renewals[root].lasts, now)
        )

    def renewed(self, roots: Iterable[DurableRoot], now: float) -> None:
        """The server has the time of these."""
        for root in roots:
            self._used.pop(root, None)
            self._renewals[root] = _Renewal(now, RENEWAL_INTERVAL)

    def not_renewed(self, roots: Iterable[DurableRoot], now: float) -> None:
        """That failed; it is tried again, less and less often."""
        for root in roots:
            before = self._renewals[root].lasts
            lasts = min(max(2 * before, RENEWAL_INTERVAL), _LONGEST_DELAY)
            self._renewals[root] = _Renewal(now, lasts)

    def owed_for(self, roots: Iterable[DurableRoot]) -> Group:
        """A copy that makes those roots again whose session is over."""
        jobs = dict.fromkeys(self._owed[root] for root in roots if root in self._owed)
        return Group((), tuple(jobs))

    def closure_of(self, roots: Sequence[DurableRoot]) -> tuple[PathInfo, ...]:
        """The closure of roots that are believed. Raises `KeyError` for another one."""
        infos: dict[StorePath, PathInfo] = {}
        for root in roots:
            infos.update((info.path, info) for info in self._believed[root].closure)
        return tuple(in_dependency_order(infos, [root.path for root in roots]))

    def add(
        self, closure: Iterable[PathInfo], roots: Iterable[DurableRoot], options: CopyOptions
    ) -> Job:
        """Somebody wants this."""
        job = Job(tuple(map(self._shared, closure)), tuple(roots), options)
        self._waiting.append(job)
        return job

    def _shared(self, info: PathInfo) -> PathInfo:
        """The same object for all closures: thirty of them have most paths in common."""
        if self._infos.get(info.path) != info:
            self._infos[info.path] = info
        return self._infos[info.path]

    def withdraw(self, job: Job) -> bool:
        """Nobody wants this any more; false if it has begun, and goes on."""
        before = self.waiting
        self._waiting = [each for each in self._waiting if each is not job]
        self._alone = [group for group in self._alone if group.jobs != (job,)]
        return self.waiting < before

    def take_known(self) -> list[Job]:
        """Those that wait although what they want is known by now."""
        known = [job for job in self._waiting if self.knows(job)]
        self._waiting = [job for job in self._waiting if not self.knows(job)]
        return known

    @property
    def next_job(self) -> Optional[Job]:
        """One that `take` will take; None if nobody waits."""
        return next((job for group in self._alone for job in group.jobs), None) or next(
            iter(self._waiting), None
        )

    def take(self) -> Group:
        """What is copied next: of those that wait, all that want it done in the same way.

        The group has no jobs if nobody waits; it has what is owed all the same.
        """
        if self._alone:
            return self._alone.pop(0)
        options = self._waiting[0].options if self._waiting else CopyOptions()
        jobs = tuple(job for job in self._waiting if job.options == options)
        self._waiting = [job for job in self._waiting if job.options != options]
        owed = dict.fromkeys(self._owed.values()) if options.check is CopyOptions.check else ()
        return Group(jobs, tuple(owed))

    def succeeded(self, group: Group, now: float) -> None:
        """The copy was made; its session is still there. `now` in seconds."""
        for job in (*group.jobs, *group.renewed):
            for root in job.roots:
                self._believed[root] = job
                self._owed.pop(root, None)
                self._used.pop(root, None)
                self._renewals[root] = _Renewal(now, _FIRST_RENEWAL)

    def failed(self, group: Group, error: NixRemoteError) -> list[Job]:
        """The copy failed, and its session is gone. Returns whose failure it is.

        The others are tried again, each alone, lest one job's path is the
        failure of all.
        """
        self.forget()
        if not is_of_paths(error):
            return list(group.jobs)
        if len(group.jobs) + len(group.renewed) == 1:
            for job in group.renewed:
                for root in job.roots:
                    self._owed.pop(root, None)
                    self._used.pop(root, None)
            return list(group.jobs)
        self._alone += [Group((job,), ()) for job in group.jobs]
        self._alone += [Group((), (job,)) for job in group.renewed]
        return []

    def abandon(self) -> None:
        """Those that wait will not be copied."""
        self._waiting.clear()
        self._alone = [group for group in self._alone if not group.jobs]

    def forget(self) -> None:
        """The session is over, and with it its temporary roots."""
        self._owed.update(self._believed)
        self._believed.clear()
