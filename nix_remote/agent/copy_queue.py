"""One server's copy queue: any thread submits jobs, one thread copies for all of them.

The thread calls `work` for an agent, or `lead` for an invocation that serves others as long as its
own copy lasts. Not here: what that thread does (`copy_worker.py`), and which jobs share a copy
(`batching.py`).

An unexpected failure is the outcome of every pending job; the queue goes on with a new session.
"""

from __future__ import annotations

import time
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Callable, Final, Sequence

from nix_remote import events
from nix_remote.agent.batching import Job
from nix_remote.agent.copy_worker import POLL_INTERVAL, CopyWorker
from nix_remote.agent.freshness import LastContact
from nix_remote.agent.queue_state import PendingCopy, QueueState
from nix_remote.agent.session_cache import OpenStore, SessionCache
from nix_remote.copy.engine import CopyOptions, CopyResult
from nix_remote.copy.settling import seconds_left
from nix_remote.local.store import LocalStore
from nix_remote.server.stores.base import DurableRoot
from nix_remote.server.upload_lock import UploadLock
from nix_remote.store.paths import PathInfo

_DUE_INTERVAL: Final = 0.5
"""Seconds between two checks for roots to renew."""
_LINGER: Final = 0.4
"""Seconds that a lead waits for the next job after its own copy, if there have been others: about
what a login costs the next lead."""
_LONGEST_LINGER: Final = 5.0

Closure = Callable[[], Sequence[PathInfo]]
OpenWith = Callable[[events.Listener], OpenStore]


@dataclass
class CopyQueue:
    """All that one process copies to one server with one configuration."""

    alias: str
    local: LocalStore
    open_with: OpenWith
    """Opens sessions whose events go to a listener."""
    make_lock: Callable[[events.Listener], UploadLock]
    last_contact: LastContact = field(default_factory=LastContact)

    def __post_init__(self) -> None:
        self._state = QueueState(self.last_contact)
        broadcast = self._state.broadcast
        self._session = SessionCache(
            self.open_with(broadcast), self.make_lock(broadcast), self._state.session_ended
        )
        self._stopping = False
        self.is_running: Callable[[], bool] = lambda: True
        """Whether the thread of the queue runs, so that submitted jobs get an outcome."""
        self.clients_connecting: Callable[[], bool] = lambda: False
        """Whether a client is about to submit a job: a copy waits a moment for it."""
        self._worker = CopyWorker(
            self.alias, self.local, self._state, self._session, lambda: self.clients_connecting()
        )

    # From any thread

    def submit(
        self,
        roots: Sequence[DurableRoot],
        closure: Closure,
        options: CopyOptions,
        listener: events.Listener,
    ) -> PendingCopy:
        """Submits a job. Its future has the outcome, at once if the roots are known.

        `closure` is called only if it is needed; its exceptions are raised here.
        """
        state = self._state
        pending = PendingCopy(Future(), listener)
        with state.lock:
            if self._may_answer(Job((), tuple(roots), options)):
                state.answer_known(pending, roots)
                state.lock.notify_all()
                return pending
        needed = closure()
        with state.lock:
            pending.job = state.batching.add(needed, roots, options)
            state.pending[pending.job] = pending
            state.lock.notify_all()
        return pending

    def _may_answer(self, wanted: Job) -> bool:
        """Whether a job can be answered at once."""
        batching = self._state.batching
        if not (self._session.alive and self.last_contact.fresh and batching.is_known(wanted)):
            return False
        # No root can be renewed before the end of a copy that is under way.
        return not self._state.copying or batching.renewed_recently(
            wanted.roots, self.last_contact.time
        )

    def withdraw(self, pending: PendingCopy) -> None:
        """The client no longer waits for the job; it is not copied unless its copy has begun."""
        with self._state.lock:
            if pending.job is not None and self._state.batching.withdraw(pending.job):
                del self._state.pending[pending.job]

    def stop(self) -> None:
        """Lets `work` return once all pending jobs have an outcome."""
        with self._state.lock:
            self._stopping = True
            self._state.lock.notify_all()

    def status(self) -> dict[str, object]:
        """Counts for `nix-remote agent status`."""
        with self._state.lock:
            counters = self._state.counters
            return {
                "host": self.alias,
                "answered": counters.answered,
                "without_copy": counters.without_copy,
                "copies": counters.copies,
                "renewed": counters.renewed,
                "waiting": len(self._state.pending),
                "logins": self._session.opened,
                "kept": len(self._state.batching.known) if self._session.alive else 0,
            }

    # In the thread of the queue

    def work(self) -> None:
        """Copies until `stop`; then confirms the roots of answered jobs and closes the session."""
        lock, batching = self._state.lock, self._state.batching
        while True:
            with lock:
                while not (self._stopping or batching.waiting or self._worker.due):
                    lock.wait(_DUE_INTERVAL)
                if self._stopping and not batching.waiting:
                    break
            self._worker.next()
        self._worker.release()

    def lead(self, pending: PendingCopy, settle: float) -> CopyResult:
        """Copies until that job is done and its settle time, in seconds, has passed.

        Lingers if there are other jobs. The jobs in the same group are answered as well; the
        clients of the others have to find another process. Raises the failure of the job.
        """
        try:
            while not pending.future.done():
                self._worker.next()
            if pending.future.exception() is None:
                self._linger(self._settling(pending, settle))
        finally:
            self._session.end()
        return pending.future.result()

    @staticmethod
    def _settling(pending: PendingCopy, settle: float) -> float:
        """Seconds until the settle time of a finished job has passed; the listener hears of it."""
        left = seconds_left(pending.future.result().valid_since, settle, time.monotonic())
        if left:
            pending.listener(events.Settling(left))
        return left

    def _linger(self, at_least: float) -> None:
        """Goes on for that many seconds, and as long as clients keep coming.

        The next lead would need a login.
        """
        counters = self._state.counters
        now = time.monotonic()
        at_most = now + max(_LONGEST_LINGER, at_least)
        answered, until = 1, now + at_least  # a lead without other jobs does not wait for any
        while now < at_most:
            with self._state.lock:
                waiting = self._state.batching.waiting
            if waiting:
                self._worker.next()
            now = time.monotonic()
            if counters.answered != answered or self.clients_connecting():
                answered, until = counters.answered, max(until, now + _LINGER)
            if now >= until:
                return
            time.sleep(POLL_INTERVAL)
