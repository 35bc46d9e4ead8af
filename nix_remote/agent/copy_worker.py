"""The work on one server's queue: answers known jobs, copies groups of jobs, renews roots.

All methods run in one thread, that of the queue. Not here: submitting jobs, and how long the thread
works (`copy_queue.py`).
"""

from __future__ import annotations

import time
from typing import Callable, ContextManager, Final, Optional, Sequence

from nix_remote.agent.batching import Group, is_path_specific
from nix_remote.agent.queue_state import QueueState
from nix_remote.agent.session_cache import SessionCache
from nix_remote.copy.engine import Copy, CopyResult
from nix_remote.copy.retry import TRANSIENT
from nix_remote.errors import NixRemoteError
from nix_remote.local.store import LocalStore
from nix_remote.server.nix_errors import ReferenceVanished
from nix_remote.server.stores.base import DurableRoot, Question, RemoteStore
from nix_remote.store.paths import PathInfo

POLL_INTERVAL: Final = 0.01
_LONGEST_WAIT: Final = 2.0
"""Seconds that a copy waits at most for connected clients to submit their jobs."""
_RENEWED_AT_ONCE: Final = 50
"""Roots. Jobs that wait for a copy come between two renewals."""
_NO_QUESTION: Final = Question(())


class CopyWorker:
    """Works for one queue, over its session."""

    def __init__(
        self,
        alias: str,
        local: LocalStore,
        state: QueueState,
        session: SessionCache,
        clients_connecting: Callable[[], bool],
    ) -> None:
        self._alias = alias
        self._local = local
        self._state = state
        self._session = session
        self._clients_connecting = clients_connecting

    def next(self) -> None:
        """Answers the known jobs, copies one group, and renews roots that are due."""
        self._guarded(self._step)
        self._guarded(self._renew)

    def release(self) -> None:
        """Confirms the roots of answered jobs once more, and closes the session."""
        self._guarded(self._confirm_and_close)

    @property
    def due(self) -> tuple[DurableRoot, ...]:
        """The roots to renew next."""
        with self._state.lock:
            due = self._state.batching.due_for_renewal(self._state.last_contact.time)
            return due[:_RENEWED_AT_ONCE]

    def _guarded(self, work: Callable[[], None]) -> None:
        """Runs `work`. An exception is the outcome of all pending jobs."""
        try:
            work()
        except Exception as error:
            self._fail_all(error)

    def _fail_all(self, error: Exception) -> None:
        state = self._state
        with state.lock:
            abandoned, state.pending = state.pending, {}
            state.batching.abandon()
            state.counters.answered += len(abandoned)
        for pending in abandoned.values():
            pending.future.set_exception(error)
        # The state of the session is unknown.
        self._session.end()

    def _renew(self) -> None:
        """Gives the current time to roots that were used without a question to the server."""
        roots = self.due
        if not roots:
            return
        state = self._state
        if not self._session.alive:
            self._session.end()  # the known roots are unconfirmed from now on
        with state.lock:
            lost = state.batching.unconfirmed_for(roots)
        failure: Optional[Exception] = None
        if lost.reconfirmed:
            roots = lost.roots
            failure = self._copy(lost)
        else:
            try:
                with self._session.use(_NO_QUESTION) as remote:
                    remote.renew(roots)
            except (NixRemoteError, ReferenceVanished) as error:
                failure = error  # which has ended the session, so the roots are unconfirmed
        with state.lock:
            if failure is not None:
                state.batching.mark_not_renewed(roots, state.last_contact.time)
                return
            state.batching.mark_renewed(roots, state.last_contact.time)
        state.counters.renewed += len(roots)
        state.last_contact.answered()

    def _step(self) -> None:
        self._answer_known()
        state = self._state
        with state.lock:
            job = state.batching.next_job
            pending = list(state.pending.values())
        if job is None:
            return
        state.broadcast.follow_connection([each.listener for each in pending], state.last_contact)
        broken: Optional[NixRemoteError] = None
        try:
            # Before the group is taken: many jobs are submitted during the login.
            self._session.ensure(_question(job.closure, job.roots))
        except TRANSIENT as error:
            broken = error  # the copy retries after a delay
        except NixRemoteError as error:
            while state.batching.next_job is not None:
                self._fail(error)
            return
        self._wait_for_connecting_clients()
        with state.lock:
            group = state.batching.take()
        self._copy(group, broken)

    def _wait_for_connecting_clients(self) -> None:
        """A client that submits its job after the copy has begun needs another copy."""
        deadline = time.monotonic() + _LONGEST_WAIT
        while self._clients_connecting() and time.monotonic() < deadline:
            time.sleep(POLL_INTERVAL)

    def _answer_known(self) -> None:
        state = self._state
        with state.lock:
            if not self._session.alive or not any(map(state.batching.is_known, state.pending)):
                return
            known = state.batching.known
        if not state.last_contact.fresh and not self._confirm(known):
            return
        with state.lock:
            for job in state.batching.take_known():
                state.answer_known(state.pending.pop(job), job.roots)

    def _confirm(self, roots: frozenset[DurableRoot]) -> bool:
        """Asks the server one question: whether the top paths of known roots are valid."""
        tops = tuple(sorted({root.path for root in roots}))
        question = Question(tops, lock=tops)
        try:
            with self._session.use(question) as remote:
                valid = remote.ask(question)
        except NixRemoteError:
            return False
        if not valid.issuperset(tops):
            # Deleted in spite of their roots: no answer of this session counts.
            self._session.end()
            return False
        self._state.last_contact.answered()
        return True

    def _copy(self, group: Group, broken: Optional[NixRemoteError] = None) -> Optional[Exception]:
        """Copies a group and answers its jobs; returns the failure, if any.

        `broken` is the failure of the first attempt to open the session.
        """
        failures = [broken] if broken is not None else []

        def open_remote(question: Question) -> ContextManager[RemoteStore]:
            if failures:
                raise failures.pop()
            return self._session.use(question)

        state = self._state
        listeners = {job: state.pending[job].listener for job in group.jobs}
        state.broadcast.follow_copy(group, listeners, state.last_contact)
        state.counters.copies += 1
        state.copying = True
        copy = Copy(
            closure=group.closure,
            roots=group.roots,
            alias=self._alias,
            local=self._local,
            open_remote=open_remote,
            listener=state.broadcast,
            options=group.options,
        )
        try:
            result = copy.run()
        except NixRemoteError as error:
            self._fail(error, group)
            return error
        else:
            state.last_contact.answered()
            self._answer(group, result)
        finally:
            state.copying = False
            state.broadcast.follow_connection([], state.last_contact)
        return None

    def _answer(self, group: Group, result: CopyResult) -> None:
        state = self._state
        with state.lock:
            state.batching.succeeded(group, result.valid_since, state.last_contact.time)
            sizes = {info.path: info.nar_size for info in result.closure}
            for job, sent in group.attributed(result.sent).items():
                state.counters.answered += 1
                state.pending.pop(job).future.set_result(
                    CopyResult(
                        closure=job.closure,
                        sent=tuple(sent),
                        sent_bytes=sum(sizes[path] for path in sent),
                        roots=state.broadcast.locations(job.roots),
                        valid_since=state.batching.valid_since(job.roots),
                    )
                )

    def _fail(self, error: NixRemoteError, group: Optional[Group] = None) -> None:
        state = self._state
        with state.lock:
            for job in state.batching.failed(group or state.batching.take(), error):
                state.counters.answered += 1
                state.pending.pop(job).future.set_exception(error)

    def _confirm_and_close(self) -> None:
        batching = self._state.batching
        with self._state.lock:
            batching.session_ended()
        while batching.has_unconfirmed:
            with self._state.lock:
                group = batching.take()
            failure = self._copy(group)
            if failure is not None and not is_path_specific(failure):
                break  # the server cannot be reached, and no client waits for an error
        self._session.end()


def _question(closure: Sequence[PathInfo], roots: Sequence[DurableRoot]) -> Question:
    return Question(
        paths=tuple(info.path for info in closure), lock=tuple(root.path for root in roots)
    )
