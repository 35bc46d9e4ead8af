"""How long the agent's knowledge of a server stays fresh after the server's last answer.

A connection can be dead unnoticed: a laptop slept, a server lost power. What was true at the
last answer counts as known for `FRESH_SECONDS`; after that, the server has to answer a question
first.
"""

from __future__ import annotations

import time
from typing import Callable, Final

FRESH_SECONDS: Final = 5.0
"""Too short for a path to vanish: its durable root would have to be removed, the connection would
have to die unnoticed, and a garbage collection would have to run."""

Clocks = Callable[[], tuple[float, ...]]


def clocks() -> tuple[float, ...]:
    """Seconds on two clocks; at least one of them advances during every pause.

    The monotonic clock stops while the machine sleeps; after a pause of a virtual machine only
    the time of day is right.
    """
    boot = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
    return time.clock_gettime(boot), time.time()


class LastContact:
    """The time of the server's last answer."""

    def __init__(self, now: Clocks = clocks) -> None:
        self._now = now
        self._answered: tuple[float, ...] = ()

    def answered(self) -> None:
        """The server has answered just now."""
        self._answered = self._now()

    @property
    def fresh(self) -> bool:
        """Whether the last answer is recent enough. False after a clock was set back."""
        return bool(self._answered) and all(
            0 <= now - then <= FRESH_SECONDS for now, then in zip(self._now(), self._answered)
        )

    @property
    def time(self) -> float:
        """Now, in seconds on a clock that advances while the machine sleeps."""
        return self._now()[0]
