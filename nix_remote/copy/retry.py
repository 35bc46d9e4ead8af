"""Which failures of a copy can heal, and how often and when it is begun again.

Pure policy: an error in, a decision out. Every attempt is made on a new
connection, and begins by asking what is valid: paths that arrived whole are
not sent twice.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Optional

from nix_remote.errors import (
    ConnectionBroken,
    DaemonNotReached,
    NixRemoteError,
    ServerEndedSession,
)

CAN_HEAL: Final = (ConnectionBroken, DaemonNotReached, ServerEndedSession)
"""Errors after which a new connection may succeed."""


@dataclass(frozen=True)
class RetryPolicy:
    """How often to try again, and how long to wait before."""

    retries: int = 3
    first_delay: float = 1.0
    """Seconds; doubled for every further attempt."""

    def delay(self, error: NixRemoteError, failures: int) -> Optional[float]:
        """Seconds to wait after the given number of failures; None to give up.

        A connection that broke, a server that ended and a daemon that was not
        reached may be back in a moment. What was refused, unknown or wrong stays so.
        """
        if failures > self.retries or not isinstance(error, CAN_HEAL):
            return None
        return self.first_delay * float(2 ** (failures - 1))
