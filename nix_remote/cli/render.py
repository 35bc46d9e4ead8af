"""Renders events as text for people, on standard error.

On a terminal it updates one progress line. Elsewhere it writes few complete lines, because many
copies may share one log.
"""

from __future__ import annotations

import threading
import time
from typing import Callable, Final, Optional, Protocol

from nix_remote import events
from nix_remote.text import PeerText, printable

_INTERVAL_TERMINAL: Final = 0.1
_INTERVAL_LOG: Final = 10.0
_UNITS: Final = ("B", "KiB", "MiB", "GiB", "TiB")


def format_bytes(count: float) -> str:
    """`4.2 MiB`."""
    for unit in _UNITS[:-1]:
        if count < 1024:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1024
    return f"{count:.1f} {_UNITS[-1]}"


def format_age(seconds: float) -> str:
    """`45 s`, `12 m`, `3 h`, `9 d`: rounded down."""
    for size, unit in ((86400, "d"), (3600, "h"), (60, "m")):
        if seconds >= size:
            return f"{seconds // size:.0f} {unit}"
    return f"{max(seconds, 0):.0f} s"


def count_of(number: int, noun: str) -> str:
    """`1 path`, `2 paths`."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


class Stream(Protocol):
    """The methods of a text stream that a renderer uses."""

    def write(self, text: str, /) -> object: ...

    def flush(self) -> object: ...

    def isatty(self) -> bool: ...


class Renderer:
    """A listener that writes text. Several threads may call it."""

    def __init__(
        self,
        stream: Stream,
        *,
        host: str,
        package: Optional[str],
        verbose: object,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._stream = stream
        self._host = host
        self._prefix = f"nix-remote: {PeerText(package)}: " if package else "nix-remote: "
        self._verbose = bool(verbose)
        self._clock = clock
        self._terminal = stream.isatty()
        self._lock = threading.Lock()
        self._total_paths = 0
        self._total_bytes = 0
        self._done_paths = 0
        self._sent = 0
        self._started = clock()
        self._last_progress = clock()
        self._open_line = False
        self._sender = ""

    def __call__(self, event: events.Event) -> None:
        with self._lock:
            self._show(event)

    def _show(self, event: events.Event) -> None:
        if isinstance(event, events.Connected) and self._verbose:
            self._line(f"connected to {event.host}: {event.description}")
        elif isinstance(event, events.PlanReady):
            self._begin(event)
        elif isinstance(event, events.PathDone):
            self._done_paths += 1
            if self._verbose:
                self._line(f"registered {event.path}")
        elif isinstance(event, events.BytesSent):
            self._sent += event.count
            self._progress(self._sent)
        elif isinstance(event, events.RootMade) and self._verbose:
            self._line(f"kept by {event.location}")
        elif isinstance(event, events.RootsVisited):
            self._line(f"removing roots: {event.done} of {event.total}")
        elif isinstance(event, events.Waiting):
            self._line(f"waiting for {event.waiting_for} ({event.seconds:.0f} s)")
        elif isinstance(event, events.Settling) and self._verbose:
            self._line(f"waiting until executors see new paths ({event.seconds:.1f} s)")
        elif isinstance(event, events.SubstitutionAbandoned):
            self._line(f"{self._host} did not substitute all paths: {event.why}")
        elif isinstance(event, events.SessionNotAdded) and self._verbose:
            self._line(f"{self._host} accepts no more sessions: {event.why}")
        elif isinstance(event, events.Retrying):
            cause = f"{event.cause.what} ({event.cause.why})"
            self._line(f"{cause}; trying again in {event.seconds:.0f} s")
        elif isinstance(event, events.ServerSaid) and self._verbose:
            self._line(f"{self._host}: {event.text}")

    def _begin(self, event: events.PlanReady) -> None:
        missing = event.plan.missing
        followed = missing or event.for_others
        self._total_paths = len(followed)
        self._total_bytes = sum(info.nar_size for info in followed)
        self._sender = "" if missing else "another copy: "
        self._done_paths, self._sent, self._started = 0, 0, self._clock()
        known = count_of(len(event.plan.paths), "path")
        if missing:
            amount = format_bytes(self._total_bytes)
            self._line(f"sending {len(missing)} of {known} to {self._host} ({amount})")
        elif event.for_others:
            amount = f"{count_of(self._total_paths, 'path')} ({format_bytes(self._total_bytes)})"
            self._line(
                f"nothing to send; waiting for another copy to send {amount} to {self._host}"
            )
        elif self._verbose:
            self._line(f"{self._host} has all {known}")

    def _progress(self, sent: int) -> None:
        now = self._clock()
        interval = _INTERVAL_TERMINAL if self._terminal else _INTERVAL_LOG
        if now - self._last_progress < interval:
            return
        self._last_progress = now
        rate = sent / max(now - self._started, 0.001)
        left = max(self._total_bytes - sent, 0) / max(rate, 1)
        text = (
            f"{self._sender}{self._done_paths} of {count_of(self._total_paths, 'path')}, "
            f"{format_bytes(sent)} of {format_bytes(self._total_bytes)}, "
            f"{format_bytes(rate)}/s, {left:.0f} s left"
        )
        if self._terminal:
            self._stream.write(f"\r\x1b[K{self._prefix}{text}")
            self._stream.flush()
            self._open_line = True
        else:
            self._line(text)

    def _line(self, text: str) -> None:
        if self._open_line:
            self._stream.write("\r\x1b[K")
            self._open_line = False
        # Text of a server must not control the terminal.
        self._stream.write(f"{self._prefix}{printable(text)}\n")
        self._stream.flush()

    def close(self) -> None:
        """Leaves the terminal with a clean line."""
        with self._lock:
            if self._open_line:
                self._stream.write("\r\x1b[K")
                self._stream.flush()
                self._open_line = False
