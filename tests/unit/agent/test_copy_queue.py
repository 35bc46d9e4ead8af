"""Submitting jobs to a queue, and how long its thread works."""

from __future__ import annotations

import time

import pytest

from nix_remote.agent.copy_queue import CopyQueue
from nix_remote.agent.queue_state import PendingCopy
from nix_remote.errors import (
    HostNotFound,
)
from tests.unit.agent.queue_server import (
    BASH,
    GCC,
    GLIBC,
    Server,
    outcome,
    submit,
)


def test_a_lead_without_other_jobs_does_not_wait(
    queue: CopyQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    pending = submit(queue, GLIBC, BASH)
    waits: list[float] = []
    monkeypatch.setattr(time, "sleep", waits.append)
    queue.lead(pending)
    assert waits == []


def test_a_lead_also_copies_jobs_submitted_meanwhile(queue: CopyQueue, server: Server) -> None:
    others: list[PendingCopy] = []

    def submit_another() -> None:
        if not others:
            others.append(submit(queue, GLIBC, GCC))

    server.while_sending = submit_another
    queue.lead(submit(queue, GLIBC))
    assert outcome(others[0]).sent == (GCC.path,)
    assert server.logins == 1


def test_a_lead_with_other_jobs_lingers_for_the_next_one(queue: CopyQueue, server: Server) -> None:
    first, second = submit(queue, GLIBC), submit(queue, GLIBC, BASH)
    others: list[PendingCopy] = []

    def connecting() -> bool:
        if first.future.done() and not others:
            others.append(submit(queue, GLIBC, GCC))
        return False

    queue.clients_connecting = connecting
    queue.lead(first)
    outcome(second)
    assert outcome(others[0]).sent == (GCC.path,)
    assert server.logins == 1


def test_a_lead_that_failed_does_not_linger(queue: CopyQueue, server: Server) -> None:
    server.refuses = HostNotFound("s", "s", None)
    first = submit(queue, GLIBC)
    submit(queue, GLIBC, BASH)
    asked_afterwards: list[bool] = []

    def connecting() -> bool:
        asked_afterwards.extend([True] if first.future.done() else [])
        return False

    queue.clients_connecting = connecting
    with pytest.raises(HostNotFound):
        queue.lead(first)
    assert asked_afterwards == []


def test_a_job_that_waits_when_the_queue_stops_is_answered(
    queue: CopyQueue, server: Server
) -> None:
    pending = submit(queue, GLIBC, BASH)
    queue.stop()
    queue.work()
    assert outcome(pending).sent == (GLIBC.path, BASH.path)


def test_a_job_that_was_withdrawn_is_not_copied(queue: CopyQueue, server: Server) -> None:
    kept, withdrawn = submit(queue, GLIBC, BASH), submit(queue, GLIBC, GCC)
    queue.withdraw(withdrawn)
    queue.stop()
    queue.work()
    outcome(kept)
    assert GCC.path not in server.valid
