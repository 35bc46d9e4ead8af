"""Retries connecting while a busy server closes each connection before its greeting.

sshd does so while too many clients are logging in (`MaxStartups` of sshd_config).
"""

from __future__ import annotations

import random
import time
from typing import Callable, Final, TypeVar

from nix_remote.errors import ServerBusy

Connected = TypeVar("Connected")

_GIVE_UP_AFTER: Final = 30.0
"""Seconds."""
_LONGEST_PAUSE: Final = 4.0


class DroppedBeforeGreeting(Exception):
    """The server closed the connection before its greeting, as a busy sshd does."""


def retry_while_dropped(connect: Callable[[], Connected], alias: str, address: str) -> Connected:
    """Calls `connect` until it raises no `DroppedBeforeGreeting`. Raises `ServerBusy`."""
    begun = time.monotonic()
    attempts = 0
    while True:
        attempts += 1
        try:
            return connect()
        except DroppedBeforeGreeting:
            waited = time.monotonic() - begun
            if waited > _GIVE_UP_AFTER:
                raise ServerBusy(alias, address, attempts, waited) from None
        time.sleep(_pause_after(attempts))


def _pause_after(attempts: int) -> float:
    """Seconds; random, so that clients that were dropped together do not retry together."""
    return random.uniform(0.5, 1.5) * min(0.1 * float(2**attempts), _LONGEST_PAUSE)
