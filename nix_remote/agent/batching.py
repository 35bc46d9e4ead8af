"""The jobs that wait for one server, which roots are known, and what is copied next. Sans-IO.

*Group commit*: all jobs that wait when a copy begins are one copy, of the union of
their closures; jobs that are submitted meanwhile are in the next one. So a path that
several jobs need is sent once.

*Known roots*: a root is known if it was made in the open session, whose temporary roots keep its
closure. A job whose roots are known is answered without a question to the server. When the session
ends, no root is known any more, and those that were known are unconfirmed: they are made again with
the next copy, or before the agent stops.

*Renewal*: a root's time on the server is the time of its last use, and old roots are pruned.
A root that was used without a question to the server is renewed soon afterwards, and at most once
per `RENEWAL_INTERVAL`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Iterable, Optional, Sequence

from nix_remote.copy.engine import CopyOptions
from nix_remote.copy.retry import RetryPolicy
from nix_remote.copy.settling import ValidSince
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

_PATH_SPECIFIC: Final = (LocalStoreError, PromiseError, TransferError, TrustError)
"""Failures that one job's paths may have caused; all others affect every job."""


RENEWAL_INTERVAL: Final = 60.0
"""Seconds between two renewals of a root that is in constant use."""
_FIRST_RENEWAL: Final = 5.0
"""Seconds after a copy has made a root, during which a later use needs no renewal."""
RENEWED_RECENTLY: Final = 900.0
"""Seconds. Well below the grace time, for which pruning keeps every root that was used."""
_LONGEST_DELAY: Final = 3600.0
"""Seconds between two attempts to renew a root that cannot be renewed."""


def is_path_specific(error: Exception) -> bool:
    """Whether a copy of other paths may succeed."""
    return isinstance(error, _PATH_SPECIFIC)


@dataclass(frozen=True, eq=False)
class Job:
    """The request of one invocation: a closure to copy, kept by these roots."""

    closure: tuple[PathInfo, ...]
    """In dependency order."""
    roots: tuple[DurableRoot, ...]
    options: CopyOptions = CopyOptions()


@dataclass(frozen=True)
class Group:
    """Jobs that are one copy."""

    jobs: tuple[Job, ...]
    reconfirmed: tuple[Job, ...]
    """Jobs that were answered before and are unconfirmed; no client waits for them."""

    @property
    def closure(self) -> tuple[PathInfo, ...]:
        """The union of the closures, in dependency order."""
        infos: dict[StorePath, PathInfo] = {}
        for job in (*self.jobs, *self.reconfirmed):
            for info in job.closure:
                infos.setdefault(info.path, info)
        return tuple(infos.values())

    @property
    def roots(self) -> tuple[DurableRoot, ...]:
        """All roots, each once."""
        every = (root for job in (*self.jobs, *self.reconfirmed) for root in job.roots)
        return tuple(dict.fromkeys(every))

    @property
    def options(self) -> CopyOptions:
        """The options of all jobs, which are the same. Without a waiting client, no retries."""
        return self.jobs[0].options if self.jobs else CopyOptions(retry=RetryPolicy(retries=0))

    def attributed(self, sent: Iterable[StorePath]) -> dict[Job, list[StorePath]]:
        """The sent paths by job: a path counts for the first job that needs it."""
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
    """When a root was made or renewed, and for how long later uses need no renewal."""

    time: float
    lasts: float
    """Seconds."""

    def is_younger(self, seconds: float, now: float) -> bool:
        """Also false if the clock was set back."""
        return 0 <= now - self.time < seconds


class Batching:
    """The state of one server's queue."""

    def __init__(self) -> None:
        self._waiting: list[Job] = []
        self._retried: list[Group] = []
        """One job each: their group failed, perhaps because of another job's paths."""
        self._infos: dict[StorePath, PathInfo] = {}
        self._known: dict[DurableRoot, Job] = {}
        self._valid_since: dict[StorePath, float] = {}
        """Of the top paths of known roots."""
        self._unconfirmed: dict[DurableRoot, Job] = {}
        self._renewals: dict[DurableRoot, _Renewal] = {}
        self._used: dict[DurableRoot, None] = {}
        """Used without a question to the server since they were made or renewed."""

    @property
    def waiting(self) -> int:
        """How many jobs wait for a copy to begin."""
        return len(self._waiting) + sum(len(group.jobs) for group in self._retried)

    @property
    def known(self) -> frozenset[DurableRoot]:
        """The roots that are known to keep their closures, while the session lives."""
        return frozenset(self._known)

    @property
    def has_unconfirmed(self) -> bool:
        """Whether roots of answered jobs have to be made again."""
        return bool(self._unconfirmed)

    def is_known(self, job: Job) -> bool:
        """Whether the job is done already, while the session lives.

        Only validity is known: a job that checks more than that needs the server.
        """
        return job.options.check is CopyOptions.check and all(
            root in self._known for root in job.roots
        )

    def mark_used(self, roots: Iterable[DurableRoot]) -> None:
        """A job with these roots was answered without a question to the server."""
        self._used.update(dict.fromkeys(roots))

    def renewed_recently(self, roots: Iterable[DurableRoot], now: float) -> bool:
        """Whether these roots' times on the server are recent enough for pruning.

        `now` in seconds, on the clock that `succeeded` is given.
        """
        return all(self._renewals[root].is_younger(RENEWED_RECENTLY, now) for root in roots)

    def due_for_renewal(self, now: float) -> tuple[DurableRoot, ...]:
        """The roots to renew now."""
        return tuple(
            root
            for root in self._used
            if not self._renewals[root].is_younger(self._renewals[root].lasts, now)
        )

    def mark_renewed(self, roots: Iterable[DurableRoot], now: float) -> None:
        """These roots have the current time on the server."""
        for root in roots:
            self._used.pop(root, None)
            self._renewals[root] = _Renewal(now, RENEWAL_INTERVAL)

    def mark_not_renewed(self, roots: Iterable[DurableRoot], now: float) -> None:
        """The renewal failed; it is tried again after a longer delay each time."""
        for root in roots:
            before = self._renewals[root].lasts
            lasts = min(max(2 * before, RENEWAL_INTERVAL), _LONGEST_DELAY)
            self._renewals[root] = _Renewal(now, lasts)

    def unconfirmed_for(self, roots: Iterable[DurableRoot]) -> Group:
        """A copy that makes the unconfirmed ones of these roots again."""
        unconfirmed = self._unconfirmed
        jobs = dict.fromkeys(unconfirmed[root] for root in roots if root in unconfirmed)
        return Group((), tuple(jobs))

    def valid_since(self, roots: Iterable[DurableRoot]) -> ValidSince:
        """By when the closures of known roots were valid."""
        return {root.path: self._valid_since[root.path] for root in roots}

    def closure_of(self, roots: Sequence[DurableRoot]) -> tuple[PathInfo, ...]:
        """The closure of known roots. Raises `KeyError` for any other root."""
        infos: dict[StorePath, PathInfo] = {}
        for root in roots:
            infos.update((info.path, info) for info in self._known[root].closure)
        return tuple(in_dependency_order(infos, [root.path for root in roots]))

    def add(
        self, closure: Iterable[PathInfo], roots: Iterable[DurableRoot], options: CopyOptions
    ) -> Job:
        """Adds a job to those that wait."""
        job = Job(tuple(map(self._interned, closure)), tuple(roots), options)
        self._waiting.append(job)
        return job

    def _interned(self, info: PathInfo) -> PathInfo:
        """One object for all closures, which have most paths in common."""
        if self._infos.get(info.path) != info:
            self._infos[info.path] = info
        return self._infos[info.path]

    def withdraw(self, job: Job) -> bool:
        """Removes a job that waits; returns false if its copy has begun, which goes on."""
        before = self.waiting
        self._waiting = [each for each in self._waiting if each is not job]
        self._retried = [group for group in self._retried if group.jobs != (job,)]
        return self.waiting < before

    def take_known(self) -> list[Job]:
        """Removes the waiting jobs that are known by now, and returns them."""
        known = [job for job in self._waiting if self.is_known(job)]
        self._waiting = [job for job in self._waiting if not self.is_known(job)]
        return known

    @property
    def next_job(self) -> Optional[Job]:
        """A job that `take` will take; None if no job waits."""
        return next((job for group in self._retried for job in group.jobs), None) or next(
            iter(self._waiting), None
        )

    def take(self) -> Group:
        """The group to copy next: all waiting jobs with the same options, and unconfirmed ones.

        The group has no jobs if none waits; it has the unconfirmed ones even then.
        """
        if self._retried:
            return self._retried.pop(0)
        options = self._waiting[0].options if self._waiting else CopyOptions()
        jobs = tuple(job for job in self._waiting if job.options == options)
        self._waiting = [job for job in self._waiting if job.options != options]
        if options.check is not CopyOptions.check:
            return Group(jobs, ())
        return Group(jobs, tuple(dict.fromkeys(self._unconfirmed.values())))

    def succeeded(self, group: Group, valid_since: ValidSince, now: float) -> None:
        """The copy succeeded; its session is still open. `now` in seconds."""
        self._valid_since.update(valid_since)
        for job in (*group.jobs, *group.reconfirmed):
            for root in job.roots:
                self._known[root] = job
                self._unconfirmed.pop(root, None)
                self._used.pop(root, None)
                self._renewals[root] = _Renewal(now, _FIRST_RENEWAL)

    def failed(self, group: Group, error: NixRemoteError) -> list[Job]:
        """The copy failed, and its session has ended. Returns the jobs that have failed.

        The other jobs are tried again, each in a copy of its own, so that one job's paths do not
        fail all of them.
        """
        self.session_ended()
        if not is_path_specific(error):
            return list(group.jobs)
        if len(group.jobs) + len(group.reconfirmed) == 1:
            for job in group.reconfirmed:
                for root in job.roots:
                    self._unconfirmed.pop(root, None)
                    self._used.pop(root, None)
            return list(group.jobs)
        self._retried += [Group((job,), ()) for job in group.jobs]
        self._retried += [Group((), (job,)) for job in group.reconfirmed]
        return []

    def abandon(self) -> None:
        """Removes all waiting jobs."""
        self._waiting.clear()
        self._retried = [group for group in self._retried if not group.jobs]

    def session_ended(self) -> None:
        """The session has ended, and with it its temporary roots: no root is known any more."""
        self._unconfirmed.update(self._known)
        self._known.clear()
        self._valid_since.clear()
