"""Who hears what of a copy that several invocations share.

Each hears of the paths that are sent for it; one for which nothing is sent hears of those that
it waits for. What is about the connection, all hear. Not here: texts.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Mapping, Optional, Sequence

from nix_remote import events
from nix_remote.agent.batching import Group, Job
from nix_remote.agent.freshness import LastContact
from nix_remote.server.gc_roots.names import asked_location
from nix_remote.server.stores.base import DurableRoot
from nix_remote.store.paths import StorePath
from nix_remote.store.plan import Plan, PlannedPath, Reason


@dataclass
class _Audience:
    """One job's listener."""

    listener: events.Listener
    closure: frozenset[StorePath] = frozenset()
    followed: frozenset[StorePath] = frozenset()
    """The paths whose progress is told."""


class Broadcast:
    """A listener that hands events on to those whom they concern."""

    def __init__(self) -> None:
        self._audience: Mapping[Job, _Audience] = {}
        self._everybody: Sequence[events.Listener] = ()
        self._group: Optional[Group] = None
        self._life: Optional[LastContact] = None
        self._made: dict[tuple[StorePath, str], str] = {}
        """Where the server has made roots in this session."""

    def locations(self, roots: Sequence[DurableRoot]) -> dict[StorePath, str]:
        """Where roots are on the server: not always where they were asked for."""
        return {
            root.path: self._made.get((root.path, root.location), root.location) for root in roots
        }

    def forget(self) -> None:
        """The session is over: in the next one roots may be made in another place."""
        self._made.clear()

    def aim(self, listeners: Sequence[events.Listener], life: LastContact) -> None:
        """From now on events are about the connection, and for these."""
        self._group, self._audience = None, {}
        self._everybody, self._life = listeners, life

    def follow(
        self, group: Group, listeners: Mapping[Job, events.Listener], life: LastContact
    ) -> None:
        """From now on events are about a copy; `listeners` are those of the group's jobs."""
        self._audience = {
            job: _Audience(listener, frozenset(info.path for info in job.closure))
            for job, listener in listeners.items()
        }
        self._everybody = tuple(listeners.values())
        self._group, self._life = group, life

    def __call__(self, event: events.Event) -> None:
        if isinstance(event, events.PathDone) and self._life is not None:
            self._life.seen()
        if isinstance(event, events.PlanReady):
            self._tell_plans(event.plan)
        elif isinstance(event, (events.BytesSent, events.PathDone)):
            for each in self._audience.values():
                if event.path in each.followed:
                    each.listener(event)
        elif isinstance(event, events.RootMade):
            self._made[event.path, asked_location(event.location)] = event.location
            for each in self._audience.values():
                if event.path in each.closure:
                    each.listener(event)
        else:
            for listener in self._everybody:
                listener(event)

    def _tell_plans(self, plan: Plan) -> None:
        if self._group is None:
            return
        missing = [info.path for info in plan.missing]
        for job, sent in self._group.attributed(missing).items():
            each, own = self._audience[job], frozenset(sent)
            others = tuple(info for info in plan.missing if info.path not in own)
            each.followed = own or frozenset(info.path for info in others)
            paths = tuple(
                _seen_by(own, planned)
                for planned in plan.paths
                if planned.info.path in each.closure
            )
            each.listener(events.PlanReady(Plan(paths), others))


def _seen_by(own: frozenset[StorePath], planned: PlannedPath) -> PlannedPath:
    if planned.reason is Reason.MISSING and planned.info.path not in own:
        return PlannedPath(planned.info, Reason.ON_THE_WAY)
    return planned
