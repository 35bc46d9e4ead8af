"""Which durable roots may go. Pure policy: roots in, roots out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Optional

from nix_remote.remote.gc_roots import Root, Roots

GRACE: Final = 3600.0
"""Seconds: longer than it takes from a copy to the last action that needs it."""


@dataclass(frozen=True)
class Retention:
    """Roots that meet every condition given may go, but none that was used a moment ago."""

    older_than: Optional[float] = None
    """Seconds since they were last used."""
    workspace: Optional[str] = None
    """The workspace's folder name, with or without its digest."""
    grace: float = GRACE
    """Seconds; what was used since then stays, whatever else is said: a build may need it."""

    def expired(self, roots: Roots) -> tuple[Root, ...]:
        """The roots that may go, in their order."""
        return tuple(root for root in roots.roots if self._is_expired(root, roots.now))

    def _is_expired(self, root: Root, now: int) -> bool:
        if now - root.last_used < self.grace:
            return False
        if self.older_than is not None and now - root.last_used <= self.older_than:
            return False
        if self.workspace is not None:
            name_only = root.workspace.rpartition("-")[0]
            return self.workspace in (root.workspace, name_only)
        return True
