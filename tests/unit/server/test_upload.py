"""Paths over several sessions. What holds for one is in test_worker_store.py."""

from __future__ import annotations

import threading
from dataclasses import replace
from functools import partial
from typing import Callable, Iterator

import pytest

from nix_remote import events
from nix_remote.errors import ConnectionBroken, PathRefused, ServerEndedSession
from nix_remote.server.nix_errors import Account
from nix_remote.server.stores.base import Outgoing, Question
from nix_remote.server.stores.worker import WorkerSession, WorkerStore
from nix_remote.server.upload import WORTH_A_SESSION
from nix_remote.store.paths import PathInfo
from tests.support.fake_server import EndSession, FakeServer, failure
from tests.support.paths import info, path
from tests.unit.server.stores.test_worker import Commands, session

ADD = 39
ADD_TEMPORARY_ROOT = 11
WAIT = 20.0


def large(name: str, *references: str, size: int = WORTH_A_SESSION) -> PathInfo:
    return replace(info(name, *references), nar_size=size)


def content(of: PathInfo, begun: Callable[[], object]) -> Iterator[bytes]:
    begun()
    for _ in range(of.nar_size // 65536):
        yield bytes(65536)


def outgoing(*infos: PathInfo, begun: Callable[[], object] = lambda: None) -> list[Outgoing]:
    return [Outgoing(one, content(one, begun)) for one in infos]


def both() -> Callable[[], object]:
    """Something that can be begun only by two at the same time."""
    return partial(threading.Barrier(2).wait, WAIT)


class Sessions:
    """A store on `main`; its further sessions go to a server of their own, of the same store."""

    def __init__(self, main: FakeServer, further: FakeServer) -> None:
        further.valid = main.valid
        self.main = main
        self.further = further
        self.opened: list[WorkerSession] = []
        self.refuses_sessions = False
        self.seen: list[events.Event] = []
        self.store = WorkerStore(
            session(main),
            account=Account("server", "me"),
            listener=self.seen.append,
            remote_exec=Commands({}),
            open_session=self._open,
        )

    def _open(self) -> WorkerSession:
        if self.refuses_sessions:
            raise ConnectionBroken("server", "starting a command", "no more sessions")
        self.opened.append(session(self.further))
        return self.opened[-1]


def test_independent_paths_go_through_two_sessions_at_the_same_time() -> None:
    sessions = Sessions(FakeServer(), FakeServer())
    sessions.store.push(outgoing(large("one"), large("two"), begun=both()))
    assert sessions.main.nars.keys() | sessions.further.nars.keys() == {path("one"), path("two")}
    assert sessions.further.operations == [ADD]


def test_little_is_sent_through_one_session() -> None:
    sessions = Sessions(FakeServer(), FakeServer())
    sessions.store.push([Outgoing(info(name), iter([bytes(info(name).nar_size)])) for name in "ab"])
    assert sessions.opened == []


def test_one_path_is_sent_through_one_session() -> None:
    sessions = Sessions(FakeServer(), FakeServer())
    sessions.store.push(outgoing(large("one", size=3 * WORTH_A_SESSION)))
    assert sessions.opened == []


def test_without_a_further_session_everything_goes_through_the_first() -> None:
    sessions = Sessions(FakeServer(), FakeServer())
    sessions.refuses_sessions = True
    sessions.store.push(outgoing(large("one"), large("two")))
    assert sessions.main.nars.keys() == {path("one"), path("two")}
    (told,) = [event for event in sessions.seen if isinstance(event, events.SessionNotAdded)]
    assert "no more sessions" in told.why


def test_what_went_through_a_further_session_is_locked_before_that_one_ends() -> None:
    sessions = Sessions(FakeServer(), FakeServer())
    ended_when_locking: list[bool] = []

    def look(operation: int, argument: str) -> None:
        if operation == ADD_TEMPORARY_ROOT:
            ended_when_locking.append(sessions.opened[0].ended)

    sessions.main.before = look
    one, two, top = large("one"), large("two"), info("top", "one", "two")
    nar = Outgoing(top, iter([bytes(top.nar_size)]))
    sessions.store.push([*outgoing(one, two, begun=both()), nar])
    # The top path's keeps the others.
    assert sessions.main.temporary_roots == {top.path}
    assert ended_when_locking == [False]
    assert sessions.opened[0].ended


def test_a_refusal_waits_for_what_is_under_way_elsewhere() -> None:
    refused, release = threading.Event(), threading.Event()

    def hold(operation: int, argument: str) -> None:
        if operation == ADD:
            assert release.wait(WAIT)

    def refuse(operation: int, argument: str) -> bytes:
        refused.set()
        return failure("this one not")

    sessions = Sessions(FakeServer(before=hold), FakeServer(before=refuse))
    one, two = large("one"), large("two")
    raised: list[BaseException] = []

    def push() -> None:
        with pytest.raises(PathRefused) as caught:
            sessions.store.push(outgoing(one, two, begun=both()))
        raised.append(caught.value)

    pushing = threading.Thread(target=push)
    pushing.start()
    assert refused.wait(WAIT)
    pushing.join(0.5)
    assert raised == []
    release.set()
    pushing.join(WAIT)
    assert len(raised) == 1
    assert not sessions.store.ended
    # The session is in step: it has an answer to each question, and the right one.
    (taken,) = sessions.main.nars
    assert sessions.store.ask(Question((one.path, two.path))) == {taken}


def test_a_session_that_ends_ends_the_push_at_once() -> None:
    release = threading.Event()
    held: list[bool] = []

    def hold(operation: int, argument: str) -> None:
        if operation == ADD:
            held.append(release.wait(WAIT))

    def end(operation: int, argument: str) -> None:
        raise EndSession

    sessions = Sessions(FakeServer(before=hold), FakeServer(before=end))
    with pytest.raises(ServerEndedSession):
        sessions.store.push(outgoing(large("one"), large("two"), begun=both()))
    assert held == []
    assert sessions.store.ended, "the other session is in the middle of something"
    release.set()
