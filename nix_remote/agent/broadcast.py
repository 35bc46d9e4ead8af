"""Passes the events of a copy on to the invocations that share it.

An invocation gets the events of the paths that are sent for it, or, if none are, of the paths that
it waits for. Events of the connection go to all. Not here: texts.
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
class _Recipient:
    """One job's listener."""

    listener: events.Listener
    closure: frozenset[StorePath] = frozenset()
    followed: frozenset[StorePath] = frozenset()
    """The paths whose progress it gets."""


class Broadcast:
    """A listener that passes each event on to the listeners that it concerns."""

    def __init__(self) -> None:
        self._recipients: Mapping[Job, _Recipient] = {}
        self._listeners: Sequence[events.Listener] = ()
        self._group: Optional[Group] = None
        self._last_contact: Optional[LastContact] = None
        self._made: dict[tuple[StorePath, str], str] = {}
        """The locations of the roots that were made in this session."""

    def locations(self, roots: Sequence[DurableRoot]) -> dict[StorePath, str]:
        """The locations of roots on the server, which may differ from the requested ones."""
        return {
            root.path: self._made.get((root.path, root.location), root.location) for root in roots
        }

    def session_ended(self) -> None:
        """Roots may have other locations in the next session."""
        self._made.clear()

    def follow_connection(
        self, listeners: Sequence[events.Listener], last_contact: LastContact
    ) -> None:
        """Events from now on are about the connection, and for these listeners."""
        self._group, self._recipients = None, {}
        self._listeners, self._last_contact = listeners, last_contact

    def follow_copy(
        self, group: Group, listeners: Mapping[Job, events.Listener], last_contact: LastContact
    ) -> None:
        """Events from now on are about a copy; `listeners` are those of the group's jobs."""
        self._recipients = {
            job: _Recipient(listener, frozenset(info.path for info in job.closure))
            for job, listener in listeners.items()
        }
        self._listeners = tuple(listeners.values())
        self._group, self._last_contact = group, last_contact

    def __call__(self, event: events.Event) -> None:
        if isinstance(event, events.PathDone) and self._last_contact is not None:
            self._last_contact.answered()
        if isinstance(event, events.PlanReady):
            self._send_plans(event.plan)
        elif isinstance(event, (events.BytesSent, events.PathDone)):
            for each in self._recipients.values():
                if event.path in each.followed:
                    each.listener(event)
        elif isinstance(event, events.RootMade):
            self._made[event.path, asked_location(event.location)] = event.location
            for each in self._recipients.values():
                if event.path in each.closure:
                    each.listener(event)
        else:
            for listener in self._listeners:
                listener(event)

    def _send_plans(self, plan: Plan) -> None:
        if self._group is None:
            return
        missing = [info.path for info in plan.missing]
        for job, sent in self._group.attributed(missing).items():
            each, own = self._recipients[job], frozenset(sent)
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
