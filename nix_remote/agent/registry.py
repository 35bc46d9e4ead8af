"""The copy queues of an agent: which are kept, and for how long.

A queue keeps a session with a server. A queue that no request uses is closed when a newer one to
the same host has replaced it, and when there are too many. Not here: what a queue does.
"""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Callable, Final, Hashable, Iterator

from nix_remote.agent.client_connection import Declined
from nix_remote.agent.copy_queue import CopyQueue
from nix_remote.agent.threads import Threads

MOST_QUEUES: Final = 8
REPLACED_AFTER: Final = 5.0
"""Seconds without a request after which a replaced queue is closed."""
_POLL_INTERVAL: Final = 0.2


@dataclass(frozen=True)
class QueueKey:
    """What requests must have in common to use one connection."""

    host: Hashable
    """The server, by name."""
    how: Hashable
    """Everything that decides how it is reached and with which rights."""


class _Kept:
    """A queue, its thread, and the number of requests that use it."""

    def __init__(self, key: QueueKey, queue: CopyQueue, thread: threading.Thread) -> None:
        self.key = key
        self.queue = queue
        self.thread = thread
        self.users = 0
        self.last_used = time.monotonic()


class QueueRegistry:
    """The queues, each with its thread."""

    def __init__(self, threads: Threads) -> None:
        self._threads = threads
        self._lock = threading.Lock()
        self._kept: dict[QueueKey, _Kept] = {}
        """In the order of their last use."""
        self._ending: list[_Kept] = []
        self.clients_connecting: Callable[[], bool] = lambda: False
        """See `CopyQueue.clients_connecting`."""

    @contextmanager
    def queue(self, key: QueueKey, make: Callable[[], CopyQueue]) -> Iterator[CopyQueue]:
        """The queue with that key, made if there is none; it is kept for the `with` block.

        Raises `Declined` if there are too many, and `CannotStart`.
        """
        with self._lock:
            kept = self._kept.pop(key, None) or self._new(key, make)
            self._kept[key] = kept
            kept.users += 1
        try:
            yield kept.queue
        finally:
            with self._lock:
                kept.users -= 1
                kept.last_used = time.monotonic()

    def _new(self, key: QueueKey, make: Callable[[], CopyQueue]) -> _Kept:
        if len(self._kept) == MOST_QUEUES:
            idle = next((each for each in self._kept.values() if not each.users), None)
            # A queue may take a while to close: at most as many again may be closing.
            if idle is None or len(self._still_ending()) == MOST_QUEUES:
                raise Declined("too many servers and configurations")
            self._end(idle)
        queue = make()
        queue.clients_connecting = self.clients_connecting
        thread = self._threads.start(queue.alias, queue.work)
        queue.is_running = thread.is_alive
        return _Kept(key, queue, thread)

    def close_replaced(self) -> None:
        """Closes the replaced queues that are not in use. Does not wait."""
        now = time.monotonic()
        with self._lock:
            newest = {each.key.host: each for each in self._kept.values()}
            for each in list(self._kept.values()):
                idle = not each.users and now - each.last_used >= REPLACED_AFTER
                if idle and newest[each.key.host] is not each:
                    self._end(each)

    def _end(self, kept: _Kept) -> None:
        """Lets a queue finish its jobs and close its session, in its own thread."""
        del self._kept[kept.key]
        kept.queue.stop()
        self._ending.append(kept)

    def _still_ending(self) -> list[_Kept]:
        self._ending = [each for each in self._ending if each.thread.is_alive()]
        return self._ending

    def status(self) -> list[dict[str, object]]:
        """The status of each queue, for `nix-remote agent status`."""
        with self._lock:
            queues = [each.queue for each in self._kept.values()]
        return [queue.status() for queue in queues]

    def finish(self) -> None:
        """Closes all queues; returns when all jobs have an outcome and all sessions are closed.

        Returns at once if a thread has failed.
        """
        with self._lock:
            for each in list(self._kept.values()):
                self._end(each)
            ending = self._still_ending()
        for each in ending:
            while each.thread.is_alive() and not self._threads.failed:
                each.thread.join(_POLL_INTERVAL)
