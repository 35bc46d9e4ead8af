"""Selects durable roots that may be removed. Pure policy: roots in, roots out.

Ages are by the server's clock. If that clock is wrong, every root looks older or younger than it
is. So callers compare the server's time with the local time before they remove roots.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Collection, Final, Iterable, Optional

from nix_remote.server.gc_roots.names import Root, Roots

GRACE: Final = 3600.0
"""Seconds: longer than the time from a copy to the last action that needs it."""

_CLOCKS_APART: Final = 300
"""Seconds by which the clocks may always differ: listing roots can take minutes."""


@dataclass(frozen=True)
class Retention:
    """Selects the roots that meet every condition given, and were not used within `grace`."""

    older_than: Optional[float] = None
    """Seconds since the last use."""
    workspaces: Optional[frozenset[str]] = None
    """The folders of the workspaces, with their digests; None: all."""
    grace: float = GRACE
    """Seconds. A root used within that time is never selected: a build may need it."""

    def is_expired(self, root: Root, now: int) -> bool:
        """Whether a root may be removed, at a time by the server's clock."""
        if now - root.last_used < self.grace:
            return False
        if self.older_than is not None and now - root.last_used <= self.older_than:
            return False
        return self.workspaces is None or root.workspace in self.workspaces

    def expired(self, roots: Roots) -> tuple[Root, ...]:
        """The roots that may be removed, in their order."""
        return tuple(root for root in roots.roots if self.is_expired(root, roots.now))

    @property
    def clocks_apart(self) -> int:
        """Seconds by which the server's clock may differ from ours without harm to roots in use.

        A root that is used now then looks no older than the grace time.
        """
        return max(int(self.grace), _CLOCKS_APART)


def has_name(workspace: str, name: str) -> bool:
    """Whether `name` names a workspace's folder on the server, with or without its digest."""
    return name in (workspace, workspace.rpartition("-")[0])


def matching_workspaces(
    name: str, on_server: Iterable[str], own: Collection[str]
) -> Optional[frozenset[str]]:
    """The workspaces that a name selects; None if it may name one of another user or machine.

    `on_server` are folders of workspaces on the server; `own` are those that are known to belong
    to this user on this machine. A name with a digest selects one workspace.
    """
    candidates = frozenset(each for each in on_server if has_name(each, name))
    if not candidates:
        return candidates
    exact = candidates & {name}
    return exact or candidates & frozenset(own) or None
