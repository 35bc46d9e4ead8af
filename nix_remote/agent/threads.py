"""The only module that starts threads of a process that serves.

A thread that ends by an exception leaves a client without an answer, so the process must stop
serving: its clients then find another process, or work alone. Not here: failures that a thread
handles itself.
"""

from __future__ import annotations

import threading
import traceback
from typing import Callable


class CannotStart(Exception):
    """The system allows no more threads."""


class Threads:
    """Starts threads, and reports a thread that fails."""

    def __init__(self, log: Callable[[str], object], on_failure: Callable[[], object]) -> None:
        """`on_failure` is called in the thread that failed; it must not block."""
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
