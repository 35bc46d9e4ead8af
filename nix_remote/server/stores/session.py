"""The common part of the stores over both protocols: a session, and its first question."""

from __future__ import annotations

from abc import abstractmethod
from concurrent.futures import Future
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Callable, Generic, Iterator, Mapping, Optional, Sequence, TypeVar

from nix_remote import events
from nix_remote.errors import PathRefused
from nix_remote.protocol.conversation import Request, Server
from nix_remote.protocol.worker import RootLink
from nix_remote.server import nix_commands, trust, verify
from nix_remote.server.clock import ClockReading
from nix_remote.server.gc_roots.placement import RootPlacement
from nix_remote.server.nix_errors import Account, store_error
from nix_remote.server.remote_exec import RemoteExec
from nix_remote.server.session import RequestRefused, Session
from nix_remote.server.stores.base import (
    Damage,
    DurableRoot,
    Outgoing,
    Question,
    RemoteStore,
)
from nix_remote.server.upload import NotAccepted, Upload
from nix_remote.store.closure import frontier
from nix_remote.store.paths import PathInfo, StorePath

T = TypeVar("T")


@dataclass(frozen=True)
class Asked:
    """A question that was submitted, and its pending replies."""

    question: Question
    locks: tuple[Future[Any], ...]
    valid: Future[frozenset[StorePath]]


class SessionStore(RemoteStore, Generic[Server]):
    """The part of a `RemoteStore` that is the same over both protocols.

    `asked` was submitted together with the greeting; `open_session` opens another session;
    `home` returns the account's home folder, and `clock` a reading of the server's clock.
    """

    def __init__(
        self,
        session: Session[Server],
        *,
        asked: Optional[Asked] = None,
        account: Account,
        listener: events.Listener,
        remote_exec: RemoteExec,
        open_session: Callable[[], Session[Server]],
        home: Callable[[], Optional[str]] = lambda: None,
        clock: Callable[[], Optional[ClockReading]] = lambda: None,
    ) -> None:
        self._session = session
        self._asked = asked
        self._locks: list[Future[Any]] = []
        """Pending replies to requests for temporary roots."""
        self._account = account
        self._listener = listener
        self._remote_exec = remote_exec
        self._open_session = open_session
        self._home = home
        self._clock = clock
        self._broken = False

    @cached_property
    def _placement(self) -> RootPlacement:
        return RootPlacement(self._account.alias, self._account.user, self._home())

    @property
    def ended(self) -> bool:
        return self._broken or self._session.ended

    def ask(self, question: Question) -> frozenset[StorePath]:
        asked, self._asked = self._asked, None
        if asked is None or asked.question != question:
            asked = self._submit(question)
        valid = self._wait(asked.valid, "which paths are valid on the server")
        self._locks += asked.locks
        self._wait_for_locks()
        return valid

    def check_acceptable(self, infos: Sequence[PathInfo]) -> None:
        trust.check_acceptable(infos, self._account, self._takes_unsigned)

    def absent(self, paths: Sequence[StorePath]) -> frozenset[StorePath]:
        return verify.absent(self._remote_exec, self._account.alias, paths)

    def damaged(self, infos: Sequence[PathInfo]) -> Mapping[StorePath, Damage]:
        found = verify.damaged(self._remote_exec, self._account.alias, infos)
        return {path: each.damage for path, each in found.items()}

    def push(self, paths: Sequence[Outgoing]) -> None:
        replacing = {outgoing.info.path for outgoing in paths if outgoing.replace}
        push = Upload(
            paths,
            session=self._session,
            open_session=self._open_session,
            add=lambda info: self._add(info, replace=info.path in replacing),
            write_nar=self._write_nar,
            listener=self._listener,
        )
        try:
            push.run()
            if push.additional:
                # The temporary roots of additional sessions end with them: make them here.
                infos = [outgoing.info for outgoing in paths]
                self.lock(frontier(infos, {info.path for info in infos}))
                self._wait_for_locks()
        except NotAccepted as refused:
            self._broken = not isinstance(refused.cause, RequestRefused)
            raise self._nix_error(refused) from None
        finally:
            for session in push.additional:
                session.close()

    @staticmethod
    @abstractmethod
    def _add(info: PathInfo, *, replace: bool) -> Request[None]:
        """The request that begins a path; with `replace` it replaces a valid path."""

    @staticmethod
    @abstractmethod
    def _write_nar(session: Session[Server], nar: Iterator[bytes]) -> None:
        """Writes the NAR that follows that request."""

    @abstractmethod
    def _nix_error(self, refused: NotAccepted) -> Exception:
        """The error for a path that was not accepted."""

    @abstractmethod
    def _submit(self, question: Question) -> Asked:
        """Submits a question, and does not wait."""

    @abstractmethod
    def _takes_unsigned(self) -> bool:
        """Whether the server accepts unsigned paths from this account."""

    def _count(self, made: Sequence[DurableRoot], find: Callable[[], frozenset[RootLink]]) -> bool:
        """Whether the server counts these roots; if not, the next folder is to be tried.

        `find` returns those that Nix on the server lists.
        """
        if not self._placement.counts:
            counted = find()
            if self._account.is_root:
                counted &= nix_commands.find_roots_of_daemon(self._remote_exec, made)
            if not self._placement.count(made, counted):
                return False
        for root in made:
            self._listener(events.RootMade(root.path, root.location))
        return True

    def _wait_for_locks(self) -> None:
        while self._locks:
            self._wait(self._locks.pop(), "temporary roots")

    def _wait(self, future: Future[T], waiting_for: str) -> T:
        """For requests that a correct server does not reject."""
        try:
            return self._session.wait(future, waiting_for)
        except RequestRefused as error:
            raise store_error(error.message, self._account.alias) or PathRefused(
                self._account.alias, waiting_for, error.message
            ) from None
