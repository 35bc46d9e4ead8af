"""A session against a server that misbehaves in every way a server can."""

from typing import Any, Callable, Optional

import pytest

from nix_remote import events
from nix_remote.errors import (
    NixNotFound,
    ProtocolViolation,
    ServerEndedSession,
    ServerTooOld,
    TransferStalled,
    UnexpectedOutput,
)
from nix_remote.protocol import worker
from nix_remote.protocol.conversation import Request
from nix_remote.protocol.flow_control import MOST_BYTES, MOST_REPLIES
from nix_remote.protocol.versions import ProtocolVersion, WorkerServer
from nix_remote.protocol.worker_conversation import WorkerConversation
from nix_remote.server.session import RequestRefused, Session
from nix_remote.ssh.memory import pair
from nix_remote.ssh.transport import Channel
from nix_remote.store.paths import NarHash, PathInfo
from nix_remote.text import PeerText
from nix_remote.wire.codec import encode_number
from tests.support.fake_server import EndSession, FakeServer, failure
from tests.support.paths import path

A = path("a")


class Clock:
    """Advances by `step` seconds whenever it is read."""

    def __init__(self, step: float) -> None:
        self.now = 0.0
        self.step = step

    def __call__(self) -> float:
        self.now += self.step
        return self.now


def session(
    channel: Channel,
    *,
    stall_timeout: float = 30,
    listener: events.Listener = events.ignore,
    clock: Optional[Callable[[], float]] = None,
) -> Session[WorkerServer]:
    options = {} if clock is None else {"clock": clock}
    return Session(
        channel,
        WorkerConversation(),
        alias="server",
        command="nix-daemon --stdio",
        stall_timeout=stall_timeout,
        listener=listener,
        **options,
    )


def test_requests_are_answered_in_order_and_the_session_goes_on_after_a_refusal() -> None:
    server = FakeServer(valid={A})
    server.before = lambda op, _: failure("no room") if op == 11 else None
    opened = session(server.start())
    lock = opened.submit(worker.AddTempRoot(A))
    query = opened.submit(worker.QueryValidPaths((A,)))
    assert opened.wait(query, "x") == {A}
    with pytest.raises(RequestRefused, match="no room"):
        opened.wait(lock, "x")
    assert opened.wait(opened.submit(worker.QueryValidPaths((A,))), "x") == {A}
    opened.close()


def test_replies_are_read_while_requests_are_written() -> None:
    # Far more replies than any buffer holds: without a concurrent reader both sides would wait.
    opened = session(FakeServer().start(capacity=512))
    locks = [opened.submit(worker.AddTempRoot(A)) for _ in range(5000)]
    for lock in locks:
        opened.wait(lock, "x")
    opened.close()


def many_short_requests() -> list[Request[Any]]:
    return [worker.AddTempRoot(A)] * 5000


def requests_with_long_replies() -> list[Request[Any]]:
    return [worker.QueryPathInfo(A)] * 5000


def large_requests_with_large_replies() -> list[Request[Any]]:
    every = tuple(path(f"a{number}") for number in range(5000))
    return [worker.QueryValidPaths(every), worker.AddTempRoot(A)] * 4


@pytest.mark.parametrize(
    "requests",
    [many_short_requests, requests_with_long_replies, large_requests_with_large_replies],
    ids=lambda make: make.__name__,
)
def test_a_proxy_that_blocks_on_either_side_keeps_moving(
    requests: Callable[[], list[Request[Any]]],
) -> None:
    references = tuple(sorted(path(f"r{number}") for number in range(10)))
    server = FakeServer(
        valid={path(f"a{number}") for number in range(5000)},
        infos={A: PathInfo(A, NarHash(bytes(32)), 120, references)},
    )
    opened = session(server.start_behind_proxy(), stall_timeout=10)
    answers = [opened.submit(request) for request in requests()]
    for answer in answers:
        opened.wait(answer, "x")
    assert opened.wait(opened.submit(worker.QueryValidPaths((A,))), "x") == frozenset()
    opened.close()


def test_a_request_that_has_to_wait_for_room_waits_in_the_way_it_says() -> None:
    opened = session(FakeServer().start())
    first = [opened.submit(worker.AddTempRoot(A)) for _ in range(MOST_REPLIES)]
    waited: list[None] = []

    def make_room() -> None:
        waited.append(opened.wait(first[len(waited)], "x"))

    content = PathInfo(A, NarHash(bytes(32)), 10 * MOST_BYTES)
    opened.submit(worker.AddToStoreNar(content), make_room=make_room)
    assert waited == [None]
    opened.close()


def test_a_session_that_ends_while_a_request_waits_for_room_says_why() -> None:
    server = FakeServer(exit_status=1, stderr="daemon died")

    def end(*_: object) -> None:
        raise EndSession

    server.before = end
    opened = session(server.start())

    def ask_on_and_on() -> None:
        for _ in range(100_000):
            opened.submit(worker.QueryPathInfo(A))

    with pytest.raises(ServerEndedSession) as caught:
        ask_on_and_on()
    assert "daemon died" in caught.value.why
    opened.close()


def test_an_end_in_the_middle_fails_every_unanswered_request_with_what_the_server_said() -> None:
    server = FakeServer(exit_status=1, stderr="error: disk \x1b[31mI/O error\n")

    def end(operation: int, _: str) -> None:
        raise EndSession

    server.before = end
    opened = session(server.start())
    first = opened.submit(worker.AddTempRoot(A))
    second = opened.submit(worker.QueryValidPaths((A,)))
    with pytest.raises(ServerEndedSession) as caught:
        opened.wait(first, "x")
    assert caught.value.why == "the server reported: error: disk I/O error"
    with pytest.raises(ServerEndedSession):
        opened.wait(second, "x")
    with pytest.raises(ServerEndedSession):
        opened.wait(opened.submit(worker.AddTempRoot(A)), "x")


def test_no_nix_is_recognised_by_the_shells_exit_status() -> None:
    server = FakeServer(greeting=b"", exit_status=127, stderr="sh: nix-daemon: not found")
    with pytest.raises(NixNotFound) as caught:
        session(server.start()).greeting()
    assert "nix-daemon --stdio" in caught.value.why
    assert "not found" in caught.value.why


@pytest.mark.parametrize("noise", [b"Welcome to nix-server!\n", b"hi\n" + b"cxin\0\0\0\0"])
def test_noise_is_shown_as_what_it_is(noise: bytes) -> None:
    with pytest.raises(UnexpectedOutput) as caught:
        session(FakeServer(greeting=noise).start()).greeting()
    assert noise.split(b"\n")[0].decode() in caught.value.why


def test_noise_shorter_than_a_greeting_is_noticed_when_the_stream_ends() -> None:
    with pytest.raises(UnexpectedOutput, match="instead of speaking"):
        session(FakeServer(greeting=b"oops").start()).greeting()


def test_an_old_server_is_called_old() -> None:
    with pytest.raises(ServerTooOld) as caught:
        session(FakeServer(protocol=ProtocolVersion(1, 21)).start()).greeting()
    assert "1.21" in caught.value.what


def test_rubbish_after_the_greeting_ends_the_session_for_good() -> None:
    server = FakeServer()
    server.before = lambda *_: encode_number(0xBAD) * 3
    opened = session(server.start())
    with pytest.raises(ProtocolViolation) as caught:
        opened.wait(opened.submit(worker.AddTempRoot(A)), "x")
    assert "0xbad" in caught.value.why
    with pytest.raises(ProtocolViolation):
        opened.wait(opened.submit(worker.AddTempRoot(A)), "x")


@pytest.mark.parametrize("error", [ValueError("²"), MemoryError(), RecursionError()])
def test_whatever_ends_the_reader_is_told_to_those_who_wait(error: Exception) -> None:
    class Conversation(WorkerConversation):
        def receive(self, data: bytes) -> Any:
            raise error

    opened = Session(
        FakeServer().start(),
        Conversation(),
        alias="server",
        command="nix-daemon --stdio",
        stall_timeout=30,
        listener=events.ignore,
    )
    with pytest.raises(ProtocolViolation) as caught:
        opened.greeting()
    assert caught.value.__cause__ is error
    assert opened.ended
    opened.close()


def test_a_server_that_says_nothing_is_reported_and_then_given_up() -> None:
    server = FakeServer()
    server.before = lambda *_: b""  # no reply at all
    seen: list[events.Event] = []
    clock = Clock(step=0)
    opened = session(server.start(), stall_timeout=45, listener=seen.append, clock=clock)
    opened.greeting()
    clock.step = 12
    with pytest.raises(TransferStalled) as caught:
        opened.wait(opened.submit(worker.AddTempRoot(A)), "a temporary root")
    assert caught.value.why == "waiting for a temporary root"
    waits = [event for event in seen if isinstance(event, events.Waiting)]
    assert [event.waiting_for for event in waits] == ["a temporary root"] * len(waits)
    assert 10 <= waits[0].seconds < 20 <= waits[1].seconds < 40
    opened.close()


def test_a_wait_can_have_a_bound_of_its_own() -> None:
    server = FakeServer(valid={A})
    server.before = lambda op, _: b"" if op == 11 else None
    clock = Clock(step=0)
    opened = session(server.start(), stall_timeout=45, clock=clock)
    opened.greeting()
    clock.step = 6
    with pytest.raises(TimeoutError, match="no answer within 10 s"):
        opened.wait(opened.submit(worker.AddTempRoot(A)), "a lock", at_most=10)
    opened.close()


def test_a_session_knows_when_it_is_over() -> None:
    server = FakeServer()

    def end(*_: object) -> None:
        raise EndSession

    server.before = end
    opened = session(server.start())
    opened.greeting()
    assert not opened.ended
    with pytest.raises(ServerEndedSession):
        opened.wait(opened.submit(worker.AddTempRoot(A)), "x")
    assert opened.ended


def test_a_server_that_reads_nothing_is_given_up() -> None:
    channel, _ = pair(capacity=64)
    opened = session(channel, stall_timeout=45, clock=Clock(step=20))
    with pytest.raises(TransferStalled, match="no data was exchanged"):
        opened.wait(opened.submit(worker.QueryValidPaths((A,) * 100)), "x")
    opened.close()


def test_a_stream_that_closes_under_the_writer_has_a_cause() -> None:
    channel = FakeServer(greeting=b"", exit_status=1, stderr="daemon died").start(capacity=64)
    opened = session(channel)

    def write_on_and_on() -> None:
        for _ in range(10_000):
            opened.submit(worker.AddTempRoot(A))
        opened.flush()

    with pytest.raises(ServerEndedSession) as caught:
        write_on_and_on()
    assert "daemon died" in caught.value.why


def test_log_lines_reach_the_listener() -> None:
    seen: list[events.Event] = []
    server = FakeServer()
    line = encode_number(0x6F6C6D67) + b"\x05\0\0\0\0\0\0\0hello\0\0\0"
    server.before = lambda *_: line + failure("no")
    opened = session(server.start(), listener=seen.append)
    with pytest.raises(RequestRefused):
        opened.wait(opened.submit(worker.CollectGarbage()), "x")
    assert seen == [events.ServerSaid(PeerText("hello"))]
    opened.close()
