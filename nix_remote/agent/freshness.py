"""How long what is known of a server may be believed after it last gave a sign of life.

A connection may be dead without our knowing it: a laptop that slept, a server
that was switched off. What was true when it was last heard of is believed for
`LIFE` seconds; after that, one question comes first.
"""

from __future__ import annotations

import time
from typing import Callable, Final

LIFE: Final = 5.0
"""Seconds. Nothing that could go wrong meanwhile is quicker: for a path to vanish, its durable
root has to be removed, the connection has to die in silence, and a collection has to run."""

Clocks = Callable[[], tuple[float, ...]]


def clocks() -> tuple[float, ...]:
    """Seconds on clocks of which one goes on whatever stops the others.

    The monotonic clock stops while the machine sleeps; a virtual machine that
    was paused finds out by the time of day.
    """
    boot = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
    return time.clock_gettime(boot), time.time()


class LastContact:
    """When the server was last heard of."""

    def __init__(self, now: Clocks = clocks) -> None:
        self._now = now
        self._seen: tuple[float, ...] = ()

    def seen(self) -> None:
        """It has answered just now."""
        self._seen = self._now()

    @property
    def fresh(self) -> bool:
        """Whether what it said may still be believed. A clock that was put back proves nothing."""
        return bool(self._seen) and all(
            0 <= now - then <= LIFE for now, then in zip(self._now(), self._seen)
        )

    @property
    def time(self) -> float:
        """Now, in seconds on a clock that goes on while the machine sleeps."""
        return self._now()[0]
