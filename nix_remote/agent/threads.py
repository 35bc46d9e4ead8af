"""The one place that starts the threads of a process that serves.

A thread that ends by an exception has left somebody without an answer, so the process must
stop serving: its clients then find another one, or do their work alone. Not here: what a thread
does about failures that it expects.
"""

from __future__ import annotations

import threading
import traceback
from typing import Callable


class CannotStart(Exception):
    """The system allows no more threads."""


class Threads:
    """Starts threads, and notices when one of them fails."""

    def __init__(self, log: Callable[[str], object], on_failure: Callable[[], object]) -> None:
        """`on_failure` is called in the thread that has failed; it must not wait."""
        self._log = log
        self._on_failure = on_failure
        self._failed = threading.Event()

    @property
    def failed(self) -> bool:
        """Whether a thread has ended by an exception."""
        return self._failed.is_set()

    def start(self, name: str, work: Callable[[], object]) -> threading.Thread:
        """Runs `work` in a thread of its own. Raises `CannotStart`."""

        def run() -> None:
            try:
                work()
            except BaseException:
                self._failed.set()
                try:
                    self._on_failure()
                finally:
                    self._log(f"the thread {name} failed:\n{traceback.format_exc()}")

        thread = threading.Thread(target=run, name=f"nix-remote-{name}", daemon=True)
        try:
            thread.start()
        except (RuntimeError, MemoryError) as error:
            raise CannotStart(str(error)) from None
        return thread
