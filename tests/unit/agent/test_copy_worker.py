"""The work on a queue: what is answered, copied, renewed and confirmed."""

from __future__ import annotations

import threading
import time

import pytest

from nix_remote import events
from nix_remote.agent.batching import RENEWED_RECENTLY
from nix_remote.agent.copy_queue import CopyQueue
from nix_remote.agent.freshness import FRESH_SECONDS
from nix_remote.agent.queue_state import PendingCopy
from nix_remote.agent.threads import Threads
from nix_remote.copy.engine import CopyOptions
from nix_remote.copy.retry import RetryPolicy
from nix_remote.errors import (
    DaemonNotReached,
    HostNotFound,
    NixRemoteError,
    PathContentMissing,
)
from tests.unit.agent.queue_server import (
    BAD,
    BASH,
    BROKEN,
    GCC,
    GLIBC,
    HELLO,
    NO_SETTLE,
    Clock,
    Server,
    failure,
    outcome,
    submit,
    wait_until,
)


def test_jobs_that_come_during_the_login_are_one_copy_with_one_login(
    queue: CopyQueue, server: Server
) -> None:
    others: list[PendingCopy] = []
    server.before_login = lambda: others.append(submit(queue, GLIBC, GCC))
    result = queue.lead(submit(queue, GLIBC, BASH), NO_SETTLE)
    assert result.sent == (GLIBC.path, BASH.path)
    (other,) = others
    assert outcome(other).sent == (GCC.path,)
    assert server.sent == [GLIBC.path, BASH.path, GCC.path]
    assert (server.logins, server.secured) == (1, 1)


def test_a_copy_waits_for_a_client_that_connects_during_the_login(
    queue: CopyQueue, server: Server
) -> None:
    others: list[PendingCopy] = []

    def connecting() -> bool:
        if not others:
            others.append(submit(queue, GLIBC, GCC))
            return True
        return False

    queue.clients_connecting = connecting
    queue.lead(submit(queue, GLIBC, BASH), NO_SETTLE)
    assert outcome(others[0]).sent == (GCC.path,)
    assert server.secured == 1


def test_a_copy_does_not_wait_long_for_a_client_that_submits_nothing(
    queue: CopyQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nix_remote.agent.copy_worker._LONGEST_WAIT", 0.2)
    monkeypatch.setattr("nix_remote.agent.copy_queue._LONGEST_LINGER", 0.2)
    queue.clients_connecting = lambda: True
    begun = time.monotonic()
    queue.lead(submit(queue, GLIBC, BASH), NO_SETTLE)
    assert time.monotonic() - begun < 10


def test_a_known_job_is_answered_without_a_question(agent: CopyQueue, server: Server) -> None:
    outcome(submit(agent, GLIBC, BASH))
    asked = server.questions, server.secured
    again = submit(agent, GLIBC, BASH)
    assert again.future.done()
    assert outcome(again).closure == (GLIBC, BASH)
    assert outcome(again).sent == ()
    assert (server.questions, server.secured) == asked
    assert server.logins == 1


@pytest.mark.parametrize("stopped", [0, 1], ids=["boot-clock-stops", "time-of-day-stops"])
def test_a_known_job_costs_one_question_when_the_server_has_been_silent(
    agent: CopyQueue, server: Server, clock: Clock, stopped: int
) -> None:
    outcome(submit(agent, GLIBC, BASH))
    asked = server.questions
    clock.now[1 - stopped] += FRESH_SECONDS + 1
    assert outcome(submit(agent, GLIBC, BASH)).sent == ()
    assert (server.questions, server.secured) == (asked + 1, 1)
    clock.now[1 - stopped] += FRESH_SECONDS - 1
    assert submit(agent, GLIBC, BASH).future.done()


@pytest.mark.parametrize("set_back", [0, 1], ids=["boot-clock", "time-of-day"])
def test_a_clock_that_was_set_back_costs_one_question(
    agent: CopyQueue, server: Server, clock: Clock, set_back: int
) -> None:
    outcome(submit(agent, GLIBC, BASH))
    asked = server.questions
    clock.now[set_back] -= 50
    assert outcome(submit(agent, GLIBC, BASH)).sent == ()
    assert server.questions == asked + 1
    assert submit(agent, GLIBC, BASH).future.done()


def test_no_root_is_known_after_the_session_has_ended(agent: CopyQueue, server: Server) -> None:
    outcome(submit(agent, GLIBC, BASH))
    server.lose_everything()
    server.reboot()
    assert outcome(submit(agent, GLIBC, BASH)).sent == (GLIBC.path, BASH.path)
    assert server.logins == 2


def test_no_root_is_known_after_the_connection_died_unnoticed(
    agent: CopyQueue, server: Server, clock: Clock
) -> None:
    outcome(submit(agent, GLIBC, BASH))
    server.lose_everything()

    server.sessions[-1].dead = True
    clock.now[0] += FRESH_SECONDS + 1
    assert outcome(submit(agent, GLIBC, BASH)).sent == (GLIBC.path, BASH.path)


def test_paths_deleted_in_spite_of_their_roots_are_found_by_the_question(
    agent: CopyQueue, server: Server, clock: Clock
) -> None:
    outcome(submit(agent, GLIBC, BASH))
    outcome(submit(agent, GLIBC, GCC))
    server.lose_everything()
    clock.now[0] += FRESH_SECONDS + 1
    outcome(submit(agent, GLIBC, BASH))
    # The other one was answered as well: it is unconfirmed.
    assert server.valid == {GLIBC.path, BASH.path, GCC.path}
    assert len(server.roots) == 2


def test_roots_are_made_once_more_before_the_session_is_closed(
    queue: CopyQueue, server: Server
) -> None:
    thread = threading.Thread(target=queue.work, daemon=True)
    thread.start()
    outcome(submit(queue, GLIBC, BASH))
    outcome(submit(queue, GLIBC, GCC))
    made = set(server.roots)
    server.roots.clear()
    queue.stop()
    thread.join(10)
    assert server.roots == made
    assert server.sessions[-1].ended


def test_one_jobs_path_fails_only_that_job(queue: CopyQueue, server: Server) -> None:
    good, bad = submit(queue, GLIBC, BASH), submit(queue, GLIBC, BAD)
    queue.stop()
    queue.work()
    assert outcome(good).sent == (GLIBC.path, BASH.path)
    assert isinstance(failure(bad.future), PathContentMissing)


def test_a_login_that_fails_is_the_failure_of_all_and_tried_once(
    queue: CopyQueue, server: Server
) -> None:
    server.refuses = HostNotFound("s", "s", None)
    attempts: list[int] = []
    server.before_login = lambda: attempts.append(1)
    pending = [submit(queue, GLIBC, BASH), submit(queue, GLIBC, GCC)]
    queue.stop()
    queue.work()
    assert [type(failure(each.future)) for each in pending] == [HostNotFound, HostNotFound]
    assert len(attempts) == 1


@pytest.mark.parametrize("broken", [BROKEN, DaemonNotReached("s", "me", "no socket")])
def test_a_login_that_breaks_is_tried_again_with_an_event(
    queue: CopyQueue, server: Server, broken: NixRemoteError
) -> None:
    server.refuses = broken
    heard: list[events.Event] = []

    def listen(event: events.Event) -> None:
        heard.append(event)
        server.refuses = None

    options = CopyOptions(retry=RetryPolicy(retries=1, first_delay=0.001))
    pending = queue.submit([], lambda: [GLIBC], options, listen)
    assert queue.lead(pending, NO_SETTLE).sent == (GLIBC.path,)
    assert heard[0] == events.Retrying(broken, 0.001)


def test_a_defect_is_the_outcome_of_its_jobs_and_the_queue_goes_on(
    agent: CopyQueue, server: Server
) -> None:
    def defect() -> None:
        raise ZeroDivisionError

    server.while_sending = defect
    with pytest.raises(ZeroDivisionError):
        outcome(submit(agent, GLIBC, BASH))
    server.while_sending = lambda: None
    assert outcome(submit(agent, GLIBC, BASH)).sent == (GLIBC.path, BASH.path)


def test_an_unexpected_failure_is_the_outcome_of_all_pending_jobs_and_the_queue_goes_on(
    agent: CopyQueue, server: Server
) -> None:
    others: list[PendingCopy] = []

    def defect() -> None:
        others.append(submit(agent, GLIBC, GCC))
        raise FileNotFoundError("no folder for temporary files")

    server.before_login = defect
    with pytest.raises(FileNotFoundError):
        outcome(submit(agent, GLIBC, BASH))
    with pytest.raises(FileNotFoundError):
        outcome(others[0])
    server.before_login = lambda: None
    assert outcome(submit(agent, GLIBC, BASH)).sent == (GLIBC.path, BASH.path)


def test_a_queue_that_cannot_confirm_its_roots_ends_all_the_same(
    queue: CopyQueue, server: Server
) -> None:
    failed = threading.Event()
    threads = Threads(lambda _: None, failed.set)
    thread = threads.start("queue", queue.work)
    outcome(submit(queue, GLIBC, BASH))
    server.reboot()

    def defect() -> None:
        raise FileNotFoundError("no folder for temporary files")

    server.before_login = defect
    queue.stop()
    thread.join(10)
    assert not thread.is_alive()
    assert not failed.is_set()


def test_a_known_root_that_was_used_is_renewed_without_a_copy(
    agent: CopyQueue, server: Server, clock: Clock
) -> None:
    kept = outcome(submit(agent, GLIBC, BASH)).roots
    clock.now[0] += 4000
    clock.now[1] += 4000
    outcome(submit(agent, GLIBC, BASH))
    wait_until(lambda: bool(server.renewed))
    assert [(root.path, root.location) for root in server.renewed[0]] == list(kept.items())
    assert (server.secured, server.logins) == (1, 1)
    outcome(submit(agent, GLIBC, BASH))
    assert len(server.renewed) == 1


def test_a_renewal_that_fails_ends_the_session_and_is_tried_again(
    agent: CopyQueue, server: Server, clock: Clock
) -> None:
    outcome(submit(agent, GLIBC, BASH))
    clock.now[0] += 4000
    clock.now[1] += 4000
    server.before_renewal = server.reboot
    outcome(submit(agent, GLIBC, BASH))
    wait_until(lambda: agent.status()["kept"] == 0)
    server.before_renewal = lambda: None
    clock.now[0] += 4000
    wait_until(lambda: server.secured == 2)
    assert server.logins == 2


def test_a_root_that_was_not_renewed_for_long_waits_for_a_copy_that_is_under_way(
    agent: CopyQueue, server: Server, clock: Clock
) -> None:
    outcome(submit(agent, GLIBC, BASH))
    asked: list[PendingCopy] = []

    def long_copy() -> None:
        clock.now[0] += RENEWED_RECENTLY
        agent.last_contact.answered()
        asked.append(submit(agent, GLIBC, BASH))
        assert not asked[0].future.done()

    server.while_sending = long_copy
    outcome(submit(agent, GLIBC, GCC))
    assert outcome(asked[0]).sent == ()


def test_each_job_gets_the_events_of_its_paths_or_of_those_it_waits_for(
    queue: CopyQueue, server: Server
) -> None:
    server.valid.add(HELLO.path)
    heard: dict[str, list[events.Event]] = {"bash": [], "gcc": [], "glibc": [], "hello": []}
    wanted = {"bash": [GLIBC, BASH], "gcc": [GLIBC, GCC], "glibc": [GLIBC], "hello": [HELLO]}
    for name, closure in wanted.items():
        submit(queue, *closure, listener=heard[name].append)
    queue.stop()
    queue.work()
    sent: dict[str, list[str]] = {}
    for name, received in heard.items():
        (ready,) = [event for event in received if isinstance(event, events.PlanReady)]
        assert [one.info for one in ready.plan.paths] == wanted[name]
        sent[name] = [info.path.split("-")[-1] for info in ready.plan.missing]
        followed = ready.plan.missing or ready.for_others
        done = [event.path for event in received if isinstance(event, events.PathDone)]
        assert done == [info.path for info in followed]
        assert len(ready.plan.missing) + len(ready.for_others) == 3
    assert sent == {"bash": ["glibc", "bash"], "gcc": ["gcc"], "glibc": [], "hello": []}
