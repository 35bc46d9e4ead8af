"""The server's store over the worker protocol (`nix-daemon --stdio`)."""

from __future__ import annotations

from concurrent.futures import Future
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from typing import (
    Iterable,
    Iterator,
    Mapping,
    Optional,
    Sequence,
    TypeVar,
    Union,
)

from nix_remote import events
from nix_remote.errors import RootRefused, ServerError
from nix_remote.protocol import worker
from nix_remote.protocol.versions import WorkerServer
from nix_remote.server import nix_commands, trust
from nix_remote.server.nix_errors import (
    ReferenceVanished,
    lacks_signature,
    path_error,
    store_error,
)
from nix_remote.server.session import RequestRefused, Session
from nix_remote.server.stores.base import DurableRoot, Question, Secured
from nix_remote.server.stores.session import Asked, SessionStore
from nix_remote.server.upload import NotAccepted
from nix_remote.store.paths import PathInfo, StorePath
from nix_remote.wire import framed

T = TypeVar("T")

WorkerSession = Session[WorkerServer]


def ask(session: WorkerSession, question: Question) -> Asked:
    """Requests temporary roots, then asks which paths are valid, without waiting in between."""
    locks = tuple(session.submit(worker.AddTempRoot(path)) for path in question.lock)
    valid = session.submit(worker.QueryValidPaths(question.paths))
    return Asked(question, locks, valid)


@dataclass(frozen=True)
class _PendingRoots:
    """Requests for durable roots, and their pending replies."""

    roots: Sequence[DurableRoot]
    links: Sequence[Future[str]]
    asked: Optional[Future[frozenset[worker.RootLink]]]
    """Which of them the server counts; None if that was not asked."""


class WorkerStore(SessionStore[WorkerServer]):
    """A `RemoteStore` over an open worker session.

    A second session is used for requests that may be abandoned; `remote_exec` is used for servers
    too old to make durable roots on request.
    """

    def _submit(self, question: Question) -> Asked:
        return ask(self._session, question)

    def lock(self, paths: Sequence[StorePath]) -> None:
        self._locks += [self._session.submit(worker.AddTempRoot(path)) for path in paths]

    def _takes_unsigned(self) -> bool:
        trusts_us = self._session.greeting().trusts_us
        if trusts_us or (trusts_us is None and self._account.is_root):
            return True
        # Before Nix 2.15 a server does not announce whether it trusts us, and no server announces
        # whether it accepts unsigned paths from users that it does not trust.
        answer = self._session.submit(worker.AddToStoreNar(trust.PROBE))
        self._write_nar(self._session, iter([trust.PROBE_CONTENT]))
        try:
            self._session.wait(answer, "the server to accept or reject an unsigned path")
        except RequestRefused as error:
            if lacks_signature(error.message):
                return False
            raise path_error(error.message, self._account, trust.PROBE) from None
        return True

    def registered(self, paths: Sequence[StorePath]) -> Mapping[StorePath, PathInfo]:
        asked = [self._session.submit(worker.QueryPathInfo(path)) for path in paths]
        answers = [self._wait(answer, "what the server has registered") for answer in asked]
        return {info.path: info for info in answers if info is not None}

    def substitute(self, paths: Sequence[StorePath], *, at_most: float) -> None:
        # A separate session: closing it is the only way to stop the server.
        with closing(self._open_session()) as session:
            query = session.submit(worker.QueryValidPaths(tuple(paths), substitute=True))
            try:
                session.wait(query, "the server to ask its caches", at_most=at_most)
            except (TimeoutError, RequestRefused, ServerError) as ended:
                self._listener(events.SubstitutionAbandoned(str(ended)))

    @staticmethod
    def _add(info: PathInfo, *, replace: bool) -> worker.AddToStoreNar:
        return worker.AddToStoreNar(info, repair=replace)

    @staticmethod
    def _write_nar(session: WorkerSession, nar: Iterator[bytes]) -> None:
        try:
            for chunk in nar:
                session.write(framed.frame_header(len(chunk)))
                session.write(chunk)
        finally:
            # If the stream ends early, the server discards the path.
            session.write(framed.END)

    def _nix_error(self, refused: NotAccepted) -> Exception:
        if isinstance(refused.cause, RequestRefused):
            return path_error(refused.cause.message, self._account, refused.info)
        return refused.cause

    def secure(self, paths: Sequence[StorePath], roots: Sequence[DurableRoot]) -> Secured:
        self._wait_for_locks()
        tops = frozenset(root.path for root in roots)
        while True:
            # The server handles requests in order: it counts the roots and begins the barrier
            # after they exist, and queries validity after the barrier, although all requests may
            # be sent in one write.
            pending = self._begin_roots(roots)
            barrier = self._session.submit(worker.CollectGarbage())
            query = self._session.submit(worker.QueryValidPaths(tuple(paths)))
            ages = self._begin_ages(tops)
            outcomes = [
                self._outcome(root, link) for root, link in zip(pending.roots, pending.links)
            ]
            self._wait(barrier, "a garbage collection on the server to end")
            valid = self._wait(query, "which paths are valid on the server")
            since = self._since(ages)
            made = self._made(pending.roots, outcomes, valid)
            if made is not None and self._count(made, partial(self._counted, made, pending.asked)):
                return Secured(valid - (tops - {root.path for root in made}), since)

    def _begin_ages(self, tops: Iterable[StorePath]) -> Mapping[StorePath, Future[Optional[int]]]:
        """Asks when these paths became valid, if the server's clock is known."""
        if self._clock() is None:
            return {}
        submit = self._session.submit
        return {path: submit(worker.QueryRegistrationTime(path)) for path in tops}

    def _since(self, asked: Mapping[StorePath, Future[Optional[int]]]) -> Mapping[StorePath, float]:
        """By when the paths were valid, on this machine's clock, where the server says it."""
        clock, since = self._clock(), {}
        for path, answer in asked.items():
            registered = self._wait(answer, "when paths became valid on the server")
            if clock is not None and registered is not None:
                since[path] = clock.valid_since(registered)
        return {path: time for path, time in since.items() if time is not None}

    def _begin_roots(self, roots: Sequence[DurableRoot]) -> _PendingRoots:
        """Requests durable roots, then asks whether the server counts them."""
        located = self._placement.located(roots)
        links = [self._begin_root(root) for root in located]
        # Once per session and folder; and not if only the reply has the absolute location.
        known = all(root.location.startswith("/") for root in located)
        asked = self._find(located) if known and not self._placement.counts else None
        return _PendingRoots(located, links, asked)

    def renew(self, roots: Sequence[DurableRoot]) -> None:
        located = self._placement.located(roots)
        links = [self._begin_root(root) for root in located]
        for root, outcome in zip(located, map(self._outcome, located, links)):
            if isinstance(outcome, Exception):
                raise outcome
            self._listener(events.RootMade(root.path, outcome))

    def _begin_root(self, root: DurableRoot) -> Future[str]:
        """Requests a durable root; waits only if Nix is too old to make it on request."""
        if self._session.greeting().can_make_roots:
            return self._session.submit(worker.AddPermRoot(root.path, root.location))
        made: Future[str] = Future()
        try:
            made.set_result(nix_commands.add_root(self._remote_exec, self._account.alias, root))
        except (ReferenceVanished, RootRefused) as failure:
            made.set_exception(failure)
        return made

    def _find(self, roots: Sequence[DurableRoot]) -> Future[frozenset[worker.RootLink]]:
        wanted = frozenset((root.location, root.path) for root in roots)
        return self._session.submit(worker.FindRoots(wanted))

    def _outcome(self, root: DurableRoot, requested: Future[str]) -> Union[str, Exception]:
        """The location of a durable root, or the error."""
        try:
            return self._session.wait(requested, "a durable root")
        except RequestRefused as error:
            alias, message = self._account.alias, error.message
            return store_error(message, alias) or RootRefused(alias, root.location, message)
        except (ReferenceVanished, RootRefused) as failure:
            return failure

    def _made(
        self,
        roots: Sequence[DurableRoot],
        outcomes: Sequence[Union[str, Exception]],
        valid: frozenset[StorePath],
    ) -> Optional[list[DurableRoot]]:
        """The roots of valid paths as made; None if the next folder is to be tried.

        A path that was not valid when its root was requested has none. Raises the error if a
        valid path has none.
        """
        made = []
        for root, outcome in zip(roots, outcomes):
            if isinstance(outcome, ReferenceVanished) or root.path not in valid:
                continue
            if isinstance(outcome, RootRefused):
                self._placement.failed(outcome)
                return None
            if isinstance(outcome, Exception):
                raise outcome
            if not self._placement.accepts(root, outcome):
                return None
            made.append(DurableRoot(root.path, outcome))
        return made

    def _counted(
        self, made: Sequence[DurableRoot], asked: Optional[Future[frozenset[worker.RootLink]]]
    ) -> frozenset[worker.RootLink]:
        return self._wait(asked or self._find(made), "the server's list of roots")
