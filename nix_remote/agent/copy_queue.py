"""One server's queue: jobs are submitted by any thread, one thread copies for them all.

What is shared and what is believed, `batching.py` decides; here are the lock,
the session and the futures. The thread calls `work` for an agent that stays,
or `lead` for an invocation that serves as long as its own job lasts.

A failure that is not expected is the outcome of every job in the queue, and the queue goes on with
a new session.
"""

from __future__ import annotations

import threading
import time
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Callable, ContextManager, Final, Optional, Sequence

from nix_remote import events
from nix_remote.agent.batching import Batching, Group, Job, is_of_paths
from nix_remote.agent.broadcast import Broadcast
from nix_remote.agent.freshness import LastContact
from nix_remote.agent.session_cache import OpenStore, SessionCache
from nix_remote.copy.engine import Copy, CopyOptions, CopyResult
from nix_remote.copy.retry import TRANSIENT
from nix_remote.errors import NixRemoteError
from nix_remote.local.store import LocalStore
from nix_remote.server.nix_errors import ReferenceVanished
from nix_remote.server.stores.base import DurableRoot, Question, RemoteStore
from nix_remote.server.upload_lock import UploadLock
from nix_remote.store.paths import PathInfo
from nix_remote.store.plan import make_plan

_LOOK_AROUND: Final = 0.5
_GATHER: Final = 2.0
"""Seconds that a copy is put off at most for those who arrive."""
_GLANCE: Final = 0.01
_STAY: Final = 0.4
"""Seconds that one who leads stays for the next one, if there have been others: about what it
costs the next one to lead."""
_LONGEST_STAY: Final = 5.0
_RENEWED_AT_ONCE: Final = 50
"""Roots. Those who wait for a copy come between two renewals."""

Closure = Callable[[], Sequence[PathInfo]]
OpenWith = Callable[[events.Listener], OpenStore]


@dataclass
class PendingCopy:
    """A job's place in the queue."""

    future: Future[CopyResult]
    listener: events.Listener
    job: Optional[Job] = None


@dataclass
class _Figures:
    """For `nix-remote agent status`."""

    answered: int = 0
    without_copy: int = 0
    copies: int = 0
    renewed: int = 0
    """Roots, without a copy."""


@dataclass
class CopyQueue:
    """Everything one process does for one server and one configuration."""

    alias: str
    local: LocalStore
    open_with: OpenWith
    """Opens sessions whose events go to a listener."""
    make_lock: Callable[[events.Listener], UploadLock]
    life: LastContact = field(default_factory=LastContact)
    figures: _Figures = field(default_factory=_Figures)

    def __post_init__(self) -> None:
        self._lock = threading.Condition()
        self._batching = Batching()
        self._pending: dict[Job, PendingCopy] = {}
        self._listeners = Broadcast()
        self._session = SessionCache(
            self.open_with(self._listeners), self.make_lock(self._listeners), self._forget
        )
        self._stopping = False
        self._copying = False
        self.at_work: Callable[[], bool] = lambda: True
        """Whether the thread of the queue runs, so that submitted jobs will be answered."""
        self.somebody_arrives: Callable[[], bool] = lambda: False
        """Whether a client is about to submit a job: a copy waits a moment for it."""

    def _forget(self) -> None:
        with self._lock:
            self._batching.forget()
            self._listeners.forget()

    # From any thread

    def submit(
        self,
        roots: Sequence[DurableRoot],
        closure: Closure,
        options: CopyOptions,
        listener: events.Listener,
    ) -> PendingCopy:
        """Submits a job. The future of what is returned has the outcome, at once if it is known.

        `closure` is asked for only if it is needed; what it raises comes out here.
        """
        pending = PendingCopy(Future(), listener)
        with self._lock:
            if self._may_answer(Job((), tuple(roots), options)):
                self._answer_known(pending, roots)
                self._lock.notify_all()
                return pending
        needed = closure()
        with self._lock:
            pending.job = self._batching.add(needed, roots, options)
            self._pending[pending.job] = pending
            self._lock.notify_all()
        return pending

    def _may_answer(self, wanted: Job) -> bool:
        """Whether a job can be answered at once."""
        if not (self._session.alive and self.life.fresh and self._batching.knows(wanted)):
            return False
        # Nothing can be renewed before a copy that is under way has ended.
        return not self._copying or self._batching.renewed_recently(wanted.roots, self.life.time)

    def withdraw(self, pending: PendingCopy) -> None:
        """Nobody waits for it any more."""
        with self._lock:
            if pending.job is not None and self._batching.withdraw(pending.job):
                del self._pending[pending.job]

    def stop(self) -> None:
        """Lets `work` return once everybody who waits is answered."""
        with self._lock:
            self._stopping = True
            self._lock.notify_all()

    def status(self) -> dict[str, object]:
        """For `nix-remote agent status`."""
        with self._lock:
            return {
                "host": self.alias,
                "answered": self.figures.answered,
                "without_copy": self.figures.without_copy,
                "copies": self.figures.copies,
                "renewed": self.figures.renewed,
                "waiting": len(self._pending),
                "logins": self._session.opened,
                "kept": len(self._batching.believed) if self._session.alive else 0,
            }

    # In the thread of the queue

    def work(self) -> None:
        """Copies for whoever comes, until `stop`; then lets go of the server."""
        while True:
            with self._lock:
                while not (self._stopping or self._batching.waiting or self._due):
                    self._lock.wait(_LOOK_AROUND)
                if self._stopping and not self._batching.waiting:
                    break
            self._next()
        self._answering(self._let_go)

    @property
    def _due(self) -> tuple[DurableRoot, ...]:
        with self._lock:
            return self._batching.due(self.life.time)[:_RENEWED_AT_ONCE]

    def lead(self, pending: PendingCopy) -> CopyResult:
        """Copies until that job is done, and a little longer in a crowd. Raises its failure.

        Everybody who is in the same group is answered as well; the others
        have to look for somebody else.
        """
        try:
            while not pending.future.done():
                self._next()
            if pending.future.exception() is None:
                self._stay()
        finally:
            self._session.end()
        return pending.future.result()

    def _stay(self) -> None:
        """Serves on as long as others keep coming: the next one to lead would log in anew."""
        now = time.monotonic()
        at_most = now + _LONGEST_STAY
        served, until = 1, now  # who was alone does not wait for anybody
        while now < at_most:
            with self._lock:
                waiting = self._batching.waiting
            if waiting:
                self._next()
            now = time.monotonic()
            if self.figures.answered != served or self.somebody_arrives():
                served, until = self.figures.answered, now + _STAY
            if now >= until:
                return
            time.sleep(_GLANCE)

    def _next(self) -> None:
        """Answers those it can, carries out one group, and renews what is due."""
        self._answering(self._step)
        self._answering(self._renew)

    def _answering(self, work: Callable[[], None]) -> None:
        """Does one thing; whatever it raises is the outcome of all who wait."""
        try:
            work()
        except Exception as error:
            self._fail_all(error)

    def _fail_all(self, error: Exception) -> None:
        with self._lock:
            abandoned, self._pending = self._pending, {}
            self._batching.abandon()
            self.figures.answered += len(abandoned)
        for pending in abandoned.values():
            pending.future.set_exception(error)
        # In what state it is, is not known.
        self._session.end()

    def _renew(self) -> None:
        """Gives roots that were used from knowledge the time of now."""
        roots = self._due
        if not roots:
            return
        if not self._session.alive:
            self._session.end()  # what was believed is owed from now on
        with self._lock:
            lost = self._batching.owed_for(roots)
        failure: Optional[Exception] = None
        if lost.renewed:
            roots = lost.roots
            failure = self._copy(lost)
        else:
            try:
                with self._session.use(_NOTHING) as remote:
                    remote.renew(roots)
            except (NixRemoteError, ReferenceVanished) as error:
                failure = error  # and the session is over, so they are owed
        with self._lock:
            if failure is not None:
                self._batching.not_renewed(roots, self.life.time)
                return
            self._batching.renewed(roots, self.life.time)
        self.figures.renewed += len(roots)
        self.life.seen()

    def _step(self) -> None:
        self._settle_known()
        with self._lock:
            job = self._batching.next_job
            everybody = list(self._pending.values())
        if job is None:
            return
        self._listeners.aim([each.listener for each in everybody], self.life)
        broken: Optional[NixRemoteError] = None
        try:
            # Before it is decided who is in the group: many come while we log in.
            self._session.ensure(_question(job.closure, job.roots))
        except TRANSIENT as error:
            broken = error  # the copy tries again, after a while
        except NixRemoteError as error:
            while self._batching.next_job is not None:
                self._fail(error)
            return
        self._wait_for_arrivals()
        with self._lock:
            group = self._batching.take()
        self._copy(group, broken)

    def _wait_for_arrivals(self) -> None:
        """A client that has connected and not submitted would need a copy of its own."""
        deadline = time.monotonic() + _GATHER
        while self.somebody_arrives() and time.monotonic() < deadline:
            time.sleep(_GLANCE)

    def _settle_known(self) -> None:
        with self._lock:
            if not self._session.alive or not any(map(self._batching.knows, self._pending)):
                return
            believed = self._batching.believed
        if not self.life.fresh and not self._confirm(believed):
            return
        with self._lock:
            for job in self._batching.take_known():
                self._answer_known(self._pending.pop(job), job.roots)

    def _confirm(self, roots: frozenset[DurableRoot]) -> bool:
        """One question: whether the session still is what we think it is."""
        tops = tuple(sorted({root.path for root in roots}))
        question = Question(tops, lock=tops)
        try:
            with self._session.use(question) as remote:
                valid = remote.ask(question)
        except NixRemoteError:
            return False
        if not valid.issuperset(tops):
            # Deleted in spite of its roots: nothing that this session says counts.
            self._session.end()
            return False
        self.life.seen()
        return True

    def _answer_known(self, pending: PendingCopy, roots: Sequence[DurableRoot]) -> None:
        closure = self._batching.closure_of(roots)
        self._batching.used(roots)
        self.figures.answered += 1
        self.figures.without_copy += 1
        there = frozenset(info.path for info in closure)
        pending.listener(events.PlanReady(make_plan(closure, there)))
        pending.future.set_result(CopyResult(closure, (), 0, self._listeners.locations(roots)))

    def _copy(self, group: Group, broken: Optional[NixRemoteError] = None) -> Optional[Exception]:
        """Carries out a group and answers its jobs; returns why it failed, if it did.

        `broken` is how the first attempt to log in has ended.
        """
        failures = [broken] if broken is not None else []

        def open_remote(question: Question) -> ContextManager[RemoteStore]:
            if failures:
                raise failures.pop()
            return self._session.use(question)

        self._listeners.follow(
            group, {job: self._pending[job].listener for job in group.jobs}, self.life
        )
        self.figures.copies += 1
        self._copying = True
        copy = Copy(
            closure=group.closure,
            roots=group.roots,
            alias=self.alias,
            local=self.local,
            open_remote=open_remote,
            listener=self._listeners,
            options=group.options,
        )
        try:
            result = copy.run()
        except NixRemoteError as error:
            self._fail(error, group)
            return error
        else:
            self.life.seen()
            self._answer(group, result)
        finally:
            self._copying = False
            self._listeners.aim([], self.life)
        return None

    def _answer(self, group: Group, result: CopyResult) -> None:
        with self._lock:
            self._batching.succeeded(group, self.life.time)
            sizes = {info.path: info.nar_size for info in result.closure}
            for job, sent in group.attributed(result.sent).items():
                self.figures.answered += 1
                self._pending.pop(job).future.set_result(
                    CopyResult(
                        closure=job.closure,
                        sent=tuple(sent),
                        sent_bytes=sum(sizes[path] for path in sent),
                        roots=self._listeners.locations(job.roots),
                    )
                )

    def _fail(self, error: NixRemoteError, group: Optional[Group] = None) -> None:
        with self._lock:
            for job in self._batching.failed(group or self._batching.take(), error):
                self.figures.answered += 1
                self._pending.pop(job).future.set_exception(error)

    def _let_go(self) -> None:
        """Makes sure once more of the durable roots that were vouched for, and closes."""
        with self._lock:
            self._batching.forget()
        while self._batching.owes:
            with self._lock:
                group = self._batching.take()
            failure = self._copy(group)
            if failure is not None and not is_of_paths(failure):
                break  # the server cannot be asked; nobody is there to be told
        self._session.end()


_NOTHING: Final = Question(())


def _question(closure: Sequence[PathInfo], roots: Sequence[DurableRoot]) -> Question:
    return Question(
        paths=tuple(info.path for info in closure), lock=tuple(root.path for root in roots)
    )
