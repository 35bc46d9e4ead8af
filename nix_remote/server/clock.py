"""How long paths have been valid, from the server's own times.

Nix registers the time at which a path became valid, in seconds of the server's clock. A reading
of that clock relates it to the clock of this machine.

Pure.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Optional


@dataclass(frozen=True)
class ClockReading:
    """One reading of the server's clock."""

    server: int
    """Seconds since 1970, rounded down."""
    at_latest: float
    """When it was read, at the latest: seconds on this machine's monotonic clock."""

    def valid_since(self, registered: int) -> Optional[float]:
        """By when a path was valid that was registered at that second of the server's clock.

        Seconds on this machine's monotonic clock. None if it may have been registered after the
        reading: the server's clock may have been set since.
        """
        age = self.server - (registered + 1)
        return self.at_latest - age if age >= 0 else None
