"""The session that stays open from one copy to the next, and with it its temporary roots.

For one thread. Another one may read `alive`.
"""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from typing import Callable, ContextManager, Iterator, Optional

from nix_remote.server.stores.base import Question, RemoteStore
from nix_remote.server.upload_lock import LockingStore, UploadLock

OpenStore = Callable[[Question], ContextManager[RemoteStore]]


class SessionCache:
    """Opens the session on first use, and again after it has ended."""

    def __init__(
        self, open_store: OpenStore, upload_lock: UploadLock, on_end: Callable[[], None]
    ) -> None:
        """`on_end` is called when the session has ended, before another one is opened."""
        self._open_store = open_store
        self._upload_lock = upload_lock
        self._on_end = on_end
        self._store: Optional[RemoteStore] = None
        self._resources = ExitStack()
        self.opened = 0
        """How many sessions were opened: one login each."""

    @property
    def alive(self) -> bool:
        """Whether the session is open, as far as this process knows."""
        store = self._store
        return store is not None and not store.ended

    def ensure(self, question: Question) -> RemoteStore:
        """Opens the session, with a first question, unless it is open. Raises `NixRemoteError`."""
        if self._store is None or self._store.ended:
            self.end()
            self._store = self._resources.enter_context(self._open_store(question))
            self.opened += 1
        return self._store

    @contextmanager
    def use(self, question: Question) -> Iterator[RemoteStore]:
        """The session, for the length of a `with` block.

        An exception ends it, because the state of the session is unknown then. The session may
        diagnose the cause over its connection; that is raised instead.
        """
        store = self.ensure(question)
        try:
            yield LockingStore(store, self._upload_lock)
        except BaseException as error:
            diagnosed = self._diagnosed(error)
            if diagnosed is error:
                raise
            raise diagnosed from None
        finally:
            self._upload_lock.release()

    def _diagnosed(self, error: BaseException) -> BaseException:
        """Ends the session because of that error; returns the cause, or the error itself."""
        try:
            with self._detach():
                raise error
        except BaseException as diagnosed:
            return diagnosed
        return error

    def end(self) -> None:
        """Closes the session. The server releases its temporary roots."""
        self._detach().close()

    def _detach(self) -> ExitStack:
        """Forgets the session; the caller has to close what this returns."""
        self._store = None
        self._on_end()
        resources, self._resources = self._resources, ExitStack()
        return resources
