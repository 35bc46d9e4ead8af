"""A client, as the handler of its request sees it, and why a request ends without an outcome.

The handler's thread puts texts here; another thread writes them to the client. Not here: sockets
(`server.py`) and what a request means (`request_handler.py`).
"""

from __future__ import annotations

import queue
import threading
from concurrent.futures import Future
from typing import Any, Callable, Final, Optional, TypeVar

from nix_remote.agent.thin_client import framing
from nix_remote.errors import Interrupted

T = TypeVar("T")

_POLL_INTERVAL: Final = 0.5


class Declined(Exception):
    """The client has to run the command without this process."""


class Gone(Exception):
    """The client has closed its connection."""


class Client:
    """A client and its request. Also a text stream: the client's standard error."""

    def __init__(self) -> None:
        self.terminal = False
        """Whether its standard error is a terminal."""
        self._frames: queue.SimpleQueue[bytes] = queue.SimpleQueue()
        self._wake = threading.Event()
        self._cancelled = False
        self._disconnected = False
        self._ended = False
        self._awaited: Optional[Future[Any]] = None
        self.connecting = True
        """Whether it may still submit a job: it waits for no outcome yet."""
        self.greeted = False
        """Whether it has been sent the first frame."""
        self.finished = threading.Event()
        """Set when its connection is closed."""

    @property
    def answered(self) -> bool:
        """Whether the outcome is known, so that only writing it is left."""
        return self._ended or (self._awaited is not None and self._awaited.done())

    def write(self, text: str) -> int:
        """Writes to its standard error."""
        self._put(framing.ERROR_TEXT, encoded(text))
        return len(text)

    def flush(self) -> None:
        """Nothing is buffered here."""

    def isatty(self) -> bool:
        """Whether its standard error is a terminal."""
        return self.terminal

    def output(self, text: str) -> None:
        """Writes to its standard output."""
        self._put(framing.OUTPUT_TEXT, encoded(text))

    def file(self, name: str, text: str) -> None:
        """Has it write a file."""
        self._put(framing.FILE, encoded(name) + b"\0" + encoded(text))

    def wait(self, future: Future[T], is_running: Callable[[], bool]) -> T:
        """Waits for the outcome of a job, while `is_running` says that one can come.

        Raises `Interrupted` if the client cancels, `Gone` if it has closed its connection, and
        `Declined` if there will be no outcome.
        """
        self._awaited = future
        self.connecting = False
        future.add_done_callback(lambda _: self._wake.set())
        while not self._wake.wait(_POLL_INTERVAL):
            if not is_running() and not future.done():
                raise Declined("the thread that copies has failed")
        if future.done():
            return future.result()
        self._raise_end()
        raise Gone

    def pause(self, seconds: float) -> None:
        """Waits after the outcome. Raises as `wait` does if the client does not wait so long."""
        self._wake.clear()
        self._raise_end()
        if self._wake.wait(seconds):
            self._raise_end()

    def _raise_end(self) -> None:
        if self._cancelled:
            raise Interrupted
        if self._disconnected:
            raise Gone

    def _put(self, kind: bytes, payload: bytes) -> None:
        self._frames.put(framing.frame(kind, payload))

    def end(self, kind: bytes, payload: bytes) -> None:
        """Puts the last frame."""
        self._ended = True
        self.connecting = False
        self._put(kind, payload)
        self._frames.put(b"")

    def cancel(self) -> None:
        """The client was interrupted and waits for the text that says so."""
        self._cancelled = True
        self._wake.set()

    def disconnect(self) -> None:
        """The client has closed its connection, or the server is about to."""
        self._disconnected = True
        self._wake.set()

    def next_frames(self, seconds: float) -> Optional[bytes]:
        """The bytes to write next: empty after that time without any, None after the last frame."""
        try:
            data = self._frames.get(timeout=seconds)
        except queue.Empty:
            return b""
        while data and not self._frames.empty():
            more = self._frames.get()
            if not more:
                self._frames.put(b"")
                break
            data += more
        return data or None


def encoded(text: str) -> bytes:
    """Text as bytes of a frame; names of files keep their bytes."""
    return text.encode(errors="surrogateescape")
