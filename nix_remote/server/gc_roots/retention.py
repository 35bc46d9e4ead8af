"""Which durable roots may go. Pure policy: roots in, roots out.

Ages are by the server's clock. If that clock is wrong, every root looks older or younger than
it is, so the time there has to be compared with the time here before anything is removed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Collection, Final, Iterable, Optional

from nix_remote.server.gc_roots.names import Root, Roots

GRACE: Final = 3600.0
"""Seconds: longer than it takes from a copy to the last action that needs it."""

_CLOCKS_APART: Final = 300
"""Seconds by which two clocks may always differ: a list of roots can take minutes."""


@dataclass(frozen=True)
class Retention:
    """Roots that meet every condition given may go, but none that was used a moment ago."""

    older_than: Optional[float] = None
    """Seconds since they were last used."""
    workspaces: Optional[frozenset[str]] = None
    """The folders of the workspaces, each with its digest; None: all."""
    grace: float = GRACE
    """Seconds; what was used since then stays, whatever else is said: a build may need it."""

    def is_expired(self, root: Root, now: int) -> bool:
        """Whether a root may go, at a time by the server's clock."""
        if now - root.last_used < self.grace:
            return False
        if self.older_than is not None and now - root.last_used <= self.older_than:
            return False
        return self.workspaces is None or root.workspace in self.workspaces

    def expired(self, roots: Roots) -> tuple[Root, ...]:
        """The roots that may go, in their order."""
        return tuple(root for root in roots.roots if self.is_expired(root, roots.now))

    @property
    def clocks_apart(self) -> int:
        """Seconds by which the server's clock may differ from ours without taking what is in use.

        A root that is used now then looks no older than the grace time.
        """
        return max(int(self.grace), _CLOCKS_APART)


def has_name(workspace: str, name: str) -> bool:
    """Whether a workspace's folder on the server has this name, with or without its digest."""
    return name in (workspace, workspace.rpartition("-")[0])


def meant(name: str, there: Iterable[str], own: Collection[str]) -> Optional[frozenset[str]]:
    """The workspaces that a name means; None if it may mean that of another user or machine.

    `there` are folders of workspaces on the server; `own` those that are known to
    be of this user on this machine. A name with its digest means one workspace.
    """
    candidates = frozenset(each for each in there if has_name(each, name))
    if not candidates:
        return candidates
    exact = candidates & {name}
    return exact or candidates & frozenset(own) or None
