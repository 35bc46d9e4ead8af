"""Carries out a copy: from store paths to a server that keeps their closure.

    closure    of the local store
    lock       temporary roots for all of it on the server, and what is valid there
    push       what is missing, in dependency order
    secure     a running collector is waited for; durable roots; a second look
    again      from `lock`, if the second look found a gap, at most `ROUNDS` times

When `copy` returns, every path of the closure is valid on the server and
reachable from a durable root. Otherwise it raises.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Mapping, Optional, Sequence

from nix_remote import events
from nix_remote.copy.plan import make_plan
from nix_remote.errors import ClosureNotKept
from nix_remote.local.store import LocalStore
from nix_remote.remote.store import DurableRoot, Outgoing, ReferenceVanished, RemoteStore
from nix_remote.wire.types import PathInfo, StorePath

ROUNDS: Final = 5
"""A gap means that something on the server deletes paths while we look; give up in the end."""


@dataclass(frozen=True)
class CopyResult:
    """What the server now keeps."""

    closure: tuple[PathInfo, ...]
    """In dependency order."""
    sent: tuple[StorePath, ...]
    """The paths that were missing, in the order they were sent."""
    sent_bytes: int
    """NAR bytes of `sent`."""
    roots: Mapping[StorePath, str]
    """Top path -> its durable root, relative to the account's home folder."""


def copy(
    closure: Sequence[PathInfo],
    roots: Sequence[DurableRoot],
    *,
    alias: str,
    local: LocalStore,
    remote: RemoteStore,
    listener: events.Listener,
) -> CopyResult:
    """Makes the server keep `closure` (in dependency order) by way of `roots`.

    Raises `NixRemoteError`.
    """
    paths = [info.path for info in closure]
    sent: dict[StorePath, PathInfo] = {}
    gap: Optional[frozenset[StorePath]] = None
    for _ in range(ROUNDS):
        valid = remote.lock_and_query(paths)
        plan = make_plan(closure, valid)
        listener(events.PlanReady(plan))
        local.check_present(plan.missing)
        remote.check_acceptable(plan.missing)
        try:
            remote.push(Outgoing(info, local.nar(info)) for info in plan.missing)
        except ReferenceVanished:
            gap = frozenset(paths) - valid
            continue
        sent.update((info.path, info) for info in plan.missing)
        gap = frozenset(paths) - remote.secure(paths, roots)
        if not gap:
            return CopyResult(
                closure=tuple(closure),
                sent=tuple(sent),
                sent_bytes=sum(info.nar_size for info in sent.values()),
                roots={root.path: root.location for root in roots},
            )
    assert gap
    raise ClosureNotKept(alias, len(gap), min(gap), ROUNDS)
