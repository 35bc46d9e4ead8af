"""Submitting jobs to a queue, and how long its thread works."""

from __future__ import annotations

import time

import pytest

from nix_remote import events
from nix_remote.agent.copy_queue import CopyQueue
from nix_remote.agent.queue_state import PendingCopy
from nix_remote.errors import (
    HostNotFound,
)
from tests.unit.agent.queue_server import (
    BASH,
    GCC,
    GLIBC,
    NO_SETTLE,
    Server,
    outcome,
    submit,
)


class StoppedClock:
    """A monotonic clock that only waiting advances."""

    def __init__(self) -> None:
        self.now = time.monotonic()

    def __call__(self) -> float:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += seconds


def test_a_lead_without_other_jobs_does_not_wait(
    queue: CopyQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    pending = submit(queue, GLIBC, BASH)
    waits: list[float] = []
    monkeypatch.setattr(time, "sleep", waits.append)
    queue.lead(pending, NO_SETTLE)
    assert waits == []


def test_a_lead_ends_when_executors_see_what_it_sent(
    queue: CopyQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard: list[events.Event] = []
    clock = StoppedClock()
    pending = submit(queue, GLIBC, BASH, listener=heard.append)
    monkeypatch.setattr(time, "monotonic", clock)
    monkeypatch.setattr(time, "sleep", clock.advance)
    (sent_at,) = queue.lead(pending, 1.0).valid_since.values()
    assert clock.now == pytest.approx(sent_at + 1.0, abs=0.02)
    (settling,) = [each for each in heard if isinstance(each, events.Settling)]
    assert settling.seconds == pytest.approx(1.0, abs=0.02)


def test_a_lead_copies_for_others_while_it_waits_for_executors(
    queue: CopyQueue, server: Server
) -> None:
    others: list[PendingCopy] = []

    def submit_another(event: events.Event) -> None:
        if isinstance(event, events.Settling):
            others.append(submit(queue, GLIBC, GCC))

    queue.lead(submit(queue, GLIBC, BASH, listener=submit_another), 0.3)
    assert outcome(others[0]).sent == (GCC.path,)
    assert server.logins == 1


def test_what_was_valid_long_ago_is_not_waited_for(queue: CopyQueue, server: Server) -> None:
    server.valid |= {GLIBC.path, BASH.path}
    heard: list[events.Event] = []
    queue.lead(submit(queue, GLIBC, BASH, listener=heard.append), 1000.0)
    assert not any(isinstance(each, events.Settling) for each in heard)


def test_a_root_that_is_known_already_is_no_older_than_its_paths(
    agent: CopyQueue, server: Server
) -> None:
    first = outcome(submit(agent, GLIBC, BASH))
    again = outcome(submit(agent, GLIBC, BASH))
    assert server.secured == 1
    assert again.valid_since == first.valid_since


def test_a_lead_also_copies_jobs_submitted_meanwhile(queue: CopyQueue, server: Server) -> None:
    others: list[PendingCopy] = []

    def submit_another() -> None:
        if not others:
            others.append(submit(queue, GLIBC, GCC))

    server.while_sending = submit_another
    queue.lead(submit(queue, GLIBC), NO_SETTLE)
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
    queue.lead(first, NO_SETTLE)
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
        queue.lead(first, NO_SETTLE)
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
