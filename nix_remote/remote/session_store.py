"""What the stores over both protocols have in common: a session, and what is asked in it first."""

from __future__ import annotations

from abc import ABC, abstractmethod
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, Callable, ContextManager, Generic, Optional, Sequence, TypeVar

from nix_remote import events
from nix_remote.errors import PathRefused
from nix_remote.protocol.conversation import Server
from nix_remote.remote import trust
from nix_remote.remote.programs import Programs
from nix_remote.remote.refusals import Account, condition
from nix_remote.remote.session import RequestRefused, Session
from nix_remote.remote.store import Question
from nix_remote.wire.types import PathInfo, StorePath

T = TypeVar("T")


@dataclass(frozen=True)
class Asked:
    """A question that is not answered yet."""

    question: Question
    locks: tuple[Future[Any], ...]
    valid: Future[frozenset[StorePath]]


class SessionStore(ABC, Generic[Server]):
    """The part of a `RemoteStore` that is the same over both protocols.

    `asked` has been asked in the session already, together with the greeting;
    `another_session` opens one more.
    """

    def __init__(
        self,
        session: Session[Server],
        *,
        asked: Optional[Asked] = None,
        account: Account,
        listener: events.Listener,
        programs: Programs,
        another_session: Callable[[], ContextManager[Session[Server]]],
    ) -> None:
        self._session = session
        self._asked = asked
        self._locks: list[Future[Any]] = []
        """Temporary roots that have been asked for, and not been waited for."""
        self._account = account
        self._listener = listener
        self._programs = programs
        self._another_session = another_session

    @property
    def ended(self) -> bool:
        return self._session.ended

    def ask(self, question: Question) -> frozenset[StorePath]:
        asked, self._asked = self._asked, None
        if asked is None or asked.question != question:
            asked = self._submit(question)
        valid = self._wait(asked.valid, "which paths are valid there")
        self._locks += asked.locks
        self._wait_for_locks()
        return valid

    def check_acceptable(self, infos: Sequence[PathInfo]) -> None:
        trust.check_acceptable(infos, self._account, self._trusts_us)

    @abstractmethod
    def _submit(self, question: Question) -> Asked:
        """Asks in the session, and does not wait."""

    @abstractmethod
    def _trusts_us(self) -> bool:
        """Whether the server takes unsigned paths from this account."""

    def _wait_for_locks(self) -> None:
        while self._locks:
            self._wait(self._locks.pop(), "temporary roots")

    def _wait(self, future: Future[T], waiting_for: str) -> T:
        """For requests that no correct server refuses."""
        try:
            return self._session.wait(future, waiting_for)
        except RequestRefused as refusal:
            raise condition(refusal.message, self._account.alias) or PathRefused(
                self._account.alias, waiting_for, refusal.message
            ) from None
