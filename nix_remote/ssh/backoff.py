"""How long, and how often, a server is tried again that closes connections at once.

Busy servers do so when too many are logging in at a time (`MaxStartups` of sshd_config).
"""

from __future__ import annotations

import random
from typing import Final

GIVE_UP_AFTER: Final = 30.0
"""Seconds."""

_LONGEST_PAUSE: Final = 4.0


def pause_after(attempts: int) -> float:
    """Seconds. By chance, lest all that were sent away together come back together."""
    return random.uniform(0.5, 1.5) * min(0.1 * float(2**attempts), _LONGEST_PAUSE)
