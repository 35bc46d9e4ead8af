"""What the threads that submit jobs share with the thread that copies, and the lock for it."""

from __future__ import annotations

import threading
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Optional, Sequence

from nix_remote import events
from nix_remote.agent.batching import Batching, Job
from nix_remote.agent.broadcast import Broadcast
from nix_remote.agent.freshness import LastContact
from nix_remote.copy.engine import CopyResult
from nix_remote.server.stores.base import DurableRoot
from nix_remote.store.plan import make_plan


@dataclass
class PendingCopy:
    """A job that was submitted: its listener, and its outcome once there is one."""

    future: Future[CopyResult]
    listener: events.Listener
    job: Optional[Job] = None


@dataclass
class Counters:
    """Counts for `nix-remote agent status`."""

    answered: int = 0
    without_copy: int = 0
    copies: int = 0
    renewed: int = 0
    """Roots, without a copy."""


class QueueState:
    """The jobs of one queue, and what is known of the server."""

    def __init__(self, last_contact: LastContact) -> None:
        self.lock = threading.Condition()
        """Guards everything below. Notified when a job or a root to renew is added."""
        self.batching = Batching()
        self.pending: dict[Job, PendingCopy] = {}
        self.broadcast = Broadcast()
        self.last_contact = last_contact
        self.counters = Counters()
        self.copying = False
        """Whether a copy is under way."""

    def session_ended(self) -> None:
        """The session has ended: no root is known any more."""
        with self.lock:
            self.batching.session_ended()
            self.broadcast.session_ended()

    def answer_known(self, pending: PendingCopy, roots: Sequence[DurableRoot]) -> None:
        """Sets the outcome of a job whose roots are known. The caller holds the lock."""
        closure = self.batching.closure_of(roots)
        self.batching.mark_used(roots)
        self.counters.answered += 1
        self.counters.without_copy += 1
        present = frozenset(info.path for info in closure)
        pending.listener(events.PlanReady(make_plan(closure, present)))
        locations, since = self.broadcast.locations(roots), self.batching.valid_since(roots)
        pending.future.set_result(CopyResult(closure, (), 0, locations, since))
