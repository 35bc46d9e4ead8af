"""The session that stays open from one copy to the next, and with it its temporary roots.

For one thread. Another one may ask whether it is alive.
"""

from __future__ import annotations

import sys
from contextlib import ExitStack, contextmanager
from typing import Callable, ContextManager, Iterator, Optional

from nix_remote.server.stores.base import Question, RemoteStore
from nix_remote.server.upload_lock import LockingStore, UploadLock

OpenStore = Callable[[Question], ContextManager[RemoteStore]]


class SessionCache:
    """Opened when it is first needed, and again when it is over."""

    def __init__(
        self, open_store: OpenStore, upload_lock: UploadLock, on_end: Callable[[], None]
    ) -> None:
        """`on_end` is called when it is over, before another one is opened."""
        self._open_store = open_store
        self._upload_lock = upload_lock
        self._on_end = on_end
        self._store: Optional[RemoteStore] = None
        self._resources = ExitStack()
        self.opened = 0
        """How often: each time is a login."""

    @property
    def alive(self) -> bool:
        """Whether it is open, as far as is known."""
        store = self._store
        return store is not None and not store.ended

    def ensure(self, question: Question) -> RemoteStore:
        """Opens it if it is not open, to ask that first. Raises `NixRemoteError`."""
        if self._store is None or self._store.ended:
            self.end()
            self._store = self._resources.enter_context(self._open_store(question))
            self.opened += 1
        return self._store

    @contextmanager
    def use(self, question: Question) -> Iterator[RemoteStore]:
        """The session, for the length of a `with` block.

        An exception ends it: whatever was going on in it, its state is not known.
        """
        store = self.ensure(question)
        try:
            yield LockingStore(store, self._upload_lock)
        except BaseException:
            # What the session is made of may know better what happened, and raise that.
            self._taken_apart().__exit__(*sys.exc_info())
            raise
        finally:
            self._upload_lock.release()

    def end(self) -> None:
        """Closes it. The server lets go of its temporary roots."""
        self._taken_apart().close()

    def _taken_apart(self) -> ExitStack:
        """Forgets the session; what is returned has to be closed."""
        self._store = None
        self._on_end()
        resources, self._resources = self._resources, ExitStack()
        return resources
