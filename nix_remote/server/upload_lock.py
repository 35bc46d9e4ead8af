"""A lock that lets one process at a time send to a server, so that each path is sent once.

It is a lock between the processes of one user on one machine. A process takes it when paths are
missing, and holds it until they are secured. It only saves bytes; correctness does not depend on
it. A holder that makes no progress is ignored after the stall timeout.
"""

from __future__ import annotations

import fcntl
import os
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Callable, Final, Iterator, Optional, Sequence

from nix_remote import events
from nix_remote.server.stores.base import Outgoing, Question, RemoteStore
from nix_remote.server.stores.forwarding import ForwardingStore
from nix_remote.server.wait_notices import WaitNotices
from nix_remote.store.paths import StorePath

_PAUSE: Final = 0.05
_TOUCH_INTERVAL: Final = 1.0
_NANOSECONDS: Final = 1_000_000_000


class UploadLock:
    """The lock. The modification time of its file is the time of the holder's last progress."""

    def __init__(
        self,
        file: Path,
        *,
        stall_timeout: float,
        listener: events.Listener,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """`stall_timeout`: seconds without progress after which a holder is ignored."""
        self._file = file
        self._stall_timeout = stall_timeout
        self._listener = listener
        self._sleep = sleep
        self._lock: Optional[int] = None
        self._last_touch = 0.0

    @property
    def held(self) -> bool:
        """Whether this process holds the lock."""
        return self._lock is not None

    def state(self) -> int:
        """A number that changes whenever a process holds the lock."""
        try:
            return os.stat(self._file).st_mtime_ns
        except OSError:
            return 0

    def take(self, *, since: int) -> bool:
        """Waits for the lock and takes it, unless its holder makes no progress.

        Returns whether another process has held it since `state` was `since`.
        """
        try:
            lock = os.open(self._file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError:
            return False
        waited = unchanged = 0.0
        seen = self.state()
        notices = WaitNotices(self._listener, "another copy from this machine to end")
        while not _locked(lock):
            # If the clock was set back, the file's time is in the future: compare it with itself.
            age = time.time() - seen / _NANOSECONDS
            if max(age, unchanged) > self._stall_timeout:
                os.close(lock)
                return True
            notices.after(waited)
            self._sleep(_PAUSE)
            waited += _PAUSE
            before, seen = seen, self.state()
            unchanged = unchanged + _PAUSE if seen == before else 0.0
        changed = waited > 0 or self.state() != since
        self._lock = lock
        self.touch()
        return changed

    def touch(self) -> None:
        """Records progress."""
        now = time.monotonic()
        if self._lock is not None and now - self._last_touch > _TOUCH_INTERVAL:
            self._last_touch = now
            self._mark()

    def release(self) -> None:
        """Releases the lock. Safe to repeat."""
        if self._lock is not None:
            self._mark()
            os.close(self._lock)
            self._lock = None
            self._last_touch = 0.0

    def _mark(self) -> None:
        with suppress(OSError):
            now = time.time_ns()
            os.utime(self._file, ns=(now, now))


def _locked(lock: int) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


class LockingStore(ForwardingStore):
    """A `RemoteStore` that takes the upload lock when it finds that paths are missing."""

    def __init__(self, store: RemoteStore, lock: UploadLock) -> None:
        super().__init__(store)
        self._upload_lock = lock

    def ask(self, question: Question) -> frozenset[StorePath]:
        before = self._upload_lock.state()
        valid = super().ask(question)
        if self._upload_lock.held or valid.issuperset(question.paths):
            return valid
        if self._upload_lock.take(since=before):
            valid = super().ask(question)
            if valid.issuperset(question.paths):
                # Another process has sent them, so the lock is not needed.
                self._upload_lock.release()
        return valid

    def push(self, paths: Sequence[Outgoing]) -> None:
        super().push([replace(one, nar=self._touching(one.nar)) for one in paths])

    def _touching(self, nar: Iterator[bytes]) -> Iterator[bytes]:
        for chunk in nar:
            self._upload_lock.touch()
            yield chunk
