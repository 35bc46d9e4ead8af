"""Decides which failures of a copy are retried, how often, and after which delay.

Pure policy: an error in, a decision out. Every attempt uses a new connection and begins by
querying valid paths: paths that arrived are not sent again.
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

TRANSIENT: Final = (ConnectionBroken, DaemonNotReached, ServerEndedSession)
"""Errors after which a new connection may succeed."""


@dataclass(frozen=True)
class RetryPolicy:
    """How often to retry, and after which delay."""

    retries: int = 3
    first_delay: float = 1.0
    """Seconds; doubled for every further attempt."""

    def delay(self, error: NixRemoteError, failures: int) -> Optional[float]:
        """Seconds to wait after the given number of failures; None to give up.

        Errors that a server or a user must fix are not retried.
        """
        if failures > self.retries or not isinstance(error, TRANSIENT):
            return None
        return self.first_delay * float(2 ** (failures - 1))
