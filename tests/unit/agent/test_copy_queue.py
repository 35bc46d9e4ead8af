"""One server's queue, with a server that loses sessions and paths when a test says so."""

from __future__ import annotations

import threading
import time
from concurrent.futures import Future
from contextlib import contextmanager
from pathlib import Path
from typing import Callable, ContextManager, Iterator, Mapping, Optional, Sequence

import pytest

from nix_remote import events
from nix_remote.agent.batching import RENEWED_RECENTLY
from nix_remote.agent.copy_queue import CopyQueue
from nix_remote.agent.freshness import FRESH_SECONDS, LastContact
from nix_remote.agent.queue_state import PendingCopy
from nix_remote.agent.threads import Threads
from nix_remote.copy.engine import CopyOptions, CopyResult
from nix_remote.copy.retry import RetryPolicy
from nix_remote.errors import (
    ConnectionBroken,
    DaemonNotReached,
    HostNotFound,
    NixRemoteError,
    PathContentMissing,
)
from nix_remote.local.store import LocalStore
from nix_remote.server.stores.base import (
    Damage,
    DurableRoot,
    Outgoing,
    Question,
    RemoteStore,
)
from nix_remote.server.upload_lock import UploadLock
from nix_remote.settings import LocalStoreSettings
from nix_remote.store.paths import PathInfo, StorePath
from tests.support.paths import info

HELLO = info("hello")
GLIBC, BASH, GCC, BAD = (
    info("glibc"),
    info("bash", "glibc"),
    info("gcc", "glibc"),
    info("bad", "glibc"),
)
OPTIONS = CopyOptions(retry=RetryPolicy(retries=0))
BROKEN = ConnectionBroken("s", "copying", "cut")


class Local(LocalStore):
    def __init__(self) -> None:
        super().__init__(LocalStoreSettings(state_directory=Path("/nonexistent")))

    def check_present(self, infos: Sequence[PathInfo]) -> None:
        for one in infos:
            if one == BAD:
                raise PathContentMissing(one.path, "gone")

    def nar(self, info: PathInfo) -> Iterator[bytes]:
        yield b"nar"


class Server:
    """What is on it, and what it was asked. Its sessions end when `reboot` says so."""

    def __init__(self) -> None:
        self.valid: set[StorePath] = set()
        self.roots: set[DurableRoot] = set()
        self.sent: list[StorePath] = []
        self.questions = 0
        self.secured = 0
        self.renewed: list[tuple[DurableRoot, ...]] = []
        self.logins = 0
        self.listener: events.Listener = events.ignore
        self.refuses: Optional[NixRemoteError] = None
        self.before_login: Callable[[], None] = lambda: None
        self.before_renewal: Callable[[], None] = lambda: None
        self.while_sending: Callable[[], None] = lambda: None
        self.sessions: list[Session] = []

    def open_with(
        self, listener: events.Listener
    ) -> Callable[[Question], ContextManager[RemoteStore]]:
        self.listener = listener
        return self._open

    @contextmanager
    def _open(self, _first: Question) -> Iterator[RemoteStore]:
        self.before_login()
        if self.refuses is not None:
            raise self.refuses
        self.logins += 1
        session = Session(self)
        self.sessions.append(session)
        try:
            yield session
        finally:
            session.ended = True

    def reboot(self) -> None:
        for session in self.sessions:
            session.ended = True

    def lose_everything(self) -> None:
        self.valid.clear()
        self.roots.clear()


class Session:
    def __init__(self, server: Server) -> None:
        self.server = server
        self.ended = False
        self.dead = False
        """Ended, unnoticed."""

    def _check(self) -> None:
        if self.ended or self.dead:
            raise BROKEN

    def ask(self, question: Question) -> frozenset[StorePath]:
        self._check()
        self.server.questions += 1
        return frozenset(self.server.valid.intersection(question.paths))

    def lock(self, paths: Sequence[StorePath]) -> None: ...

    def check_acceptable(self, infos: Sequence[PathInfo]) -> None: ...

    def registered(self, paths: Sequence[StorePath]) -> Mapping[StorePath, PathInfo]:
        return {}

    def gone(self, paths: Sequence[StorePath]) -> frozenset[StorePath]:
        return frozenset()

    def damaged(self, infos: Sequence[PathInfo]) -> Mapping[StorePath, Damage]:
        return {}

    def substitute(self, paths: Sequence[StorePath], *, at_most: float) -> None: ...

    def push(self, paths: Sequence[Outgoing]) -> None:
        for outgoing in paths:
            self.server.while_sending()
            self._check()
            assert b"".join(outgoing.nar) == b"nar"
            self.server.sent.append(outgoing.info.path)
            self.server.valid.add(outgoing.info.path)
            self.server.listener(events.PathDone(outgoing.info.path))

    def renew(self, roots: Sequence[DurableRoot]) -> None:
        self.server.before_renewal()
        self._check()
        self.server.renewed.append(tuple(roots))

    def secure(
        self, paths: Sequence[StorePath], roots: Sequence[DurableRoot]
    ) -> frozenset[StorePath]:
        self._check()
        self.server.secured += 1
        self.server.roots.update(roots)
        return frozenset(self.server.valid.intersection(paths))


class Clock:
    """Two clocks that a test advances."""

    def __init__(self) -> None:
        self.now = [100.0, 100.0]

    def __call__(self) -> tuple[float, ...]:
        return tuple(self.now)


@pytest.fixture
def server() -> Server:
    return Server()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def queue(server: Server, clock: Clock, tmp_path: Path) -> CopyQueue:
    def upload_lock(listener: events.Listener) -> UploadLock:
        return UploadLock(tmp_path / "lock", patience=10, listener=listener)

    return CopyQueue("s", Local(), server.open_with, upload_lock, LastContact(clock))


@pytest.fixture
def agent(queue: CopyQueue) -> Iterator[CopyQueue]:
    """A queue with a thread of its own, as an agent has it."""
    thread = threading.Thread(target=queue.work, daemon=True)
    thread.start()
    yield queue
    queue.stop()
    thread.join(10)
    assert not thread.is_alive()


def submit(
    queue: CopyQueue, *closure: PathInfo, listener: events.Listener = events.ignore
) -> PendingCopy:
    top = closure[-1].path
    return queue.submit([DurableRoot(top, f"roots/{top}")], lambda: closure, OPTIONS, listener)


def wait_until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def outcome(pending: PendingCopy) -> CopyResult:
    return pending.future.result(10)


def failure(future: Future[CopyResult]) -> NixRemoteError:
    error = future.exception(10)
    assert isinstance(error, NixRemoteError)
    return error


def test_jobs_that_come_during_the_login_are_one_copy_with_one_login(
    queue: CopyQueue, server: Server
) -> None:
    others: list[PendingCopy] = []
    server.before_login = lambda: others.append(submit(queue, GLIBC, GCC))
    result = queue.lead(submit(queue, GLIBC, BASH))
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
    queue.lead(submit(queue, GLIBC, BASH))
    assert outcome(others[0]).sent == (GCC.path,)
    assert server.secured == 1


def test_a_copy_does_not_wait_long_for_a_client_that_submits_nothing(
    queue: CopyQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nix_remote.agent.copy_worker._LONGEST_WAIT", 0.2)
    monkeypatch.setattr("nix_remote.agent.copy_queue._LONGEST_LINGER", 0.2)
    queue.clients_connecting = lambda: True
    begun = time.monotonic()
    queue.lead(submit(queue, GLIBC, BASH))
    assert time.monotonic() - begun < 10


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


def test_what_is_known_is_answered_without_a_question(agent: CopyQueue, server: Server) -> None:
    outcome(submit(agent, GLIBC, BASH))
    asked = server.questions, server.secured
    again = submit(agent, GLIBC, BASH)
    assert again.future.done()
    assert outcome(again).closure == (GLIBC, BASH)
    assert outcome(again).sent == ()
    assert (server.questions, server.secured) == asked
    assert server.logins == 1


@pytest.mark.parametrize("stopped", [0, 1], ids=["boot-clock-stops", "time-of-day-stops"])
def test_what_is_known_costs_one_question_when_the_server_has_been_silent(
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


def test_a_job_that_waits_when_the_queue_stops_is_answered(
    queue: CopyQueue, server: Server
) -> None:
    pending = submit(queue, GLIBC, BASH)
    queue.stop()
    queue.work()
    assert outcome(pending).sent == (GLIBC.path, BASH.path)


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
def test_a_login_that_breaks_is_tried_again_and_that_is_said(
    queue: CopyQueue, server: Server, broken: NixRemoteError
) -> None:
    server.refuses = broken
    heard: list[events.Event] = []

    def listen(event: events.Event) -> None:
        heard.append(event)
        server.refuses = None

    options = CopyOptions(retry=RetryPolicy(retries=1, first_delay=0.001))
    pending = queue.submit([], lambda: [GLIBC], options, listen)
    assert queue.lead(pending).sent == (GLIBC.path,)
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


def test_a_job_that_was_withdrawn_is_not_copied(queue: CopyQueue, server: Server) -> None:
    kept, withdrawn = submit(queue, GLIBC, BASH), submit(queue, GLIBC, GCC)
    queue.withdraw(withdrawn)
    queue.stop()
    queue.work()
    outcome(kept)
    assert GCC.path not in server.valid


def test_each_hears_of_the_paths_that_are_sent_for_it_or_that_it_waits_for(
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
