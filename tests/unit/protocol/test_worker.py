"""The worker protocol against bytes written by hand, and against itself in all sizes of pieces."""

import contextlib
import tracemalloc
from typing import Optional

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nix_remote.protocol import versions, worker
from nix_remote.protocol.conversation import Greeted, Logged, Refused, Replied
from nix_remote.store.paths import PathInfo
from nix_remote.text import PeerText
from nix_remote.wire.codec import (
    WireError,
    encode_bool,
    encode_number,
    encode_text,
    encode_texts,
)
from tests.support.fake_server import LAST, encoded_info, failure
from tests.support.paths import path
from tests.support.strategies import path_infos, pieces

A, B = path("a"), path("b")


def server_greeting(version: int = 0x126) -> bytes:
    minor = min(version, 0x125) & 0xFF
    words = encode_number(0x6478696F) + encode_number(version)
    words += encode_text("2.34.8") if minor >= 33 else b""
    words += encode_number(1) if minor >= 35 else b""
    return words + LAST


def opened() -> worker.WorkerConversation:
    connection = worker.WorkerConversation()
    list(connection.receive(server_greeting()))
    return connection


def test_the_greeting_says_1_37_and_needs_no_answer_to_be_complete() -> None:
    assert worker.WorkerConversation().greeting() == (
        b"cxin\0\0\0\0"  # magic, as a number
        b"\x25\x01\0\0\0\0\0\0"  # 1.37
        b"\0\0\0\0\0\0\0\0"
        * 1  # no processor affinity
        + b"\0\0\0\0\0\0\0\0"  # no reserved space
    )


@pytest.mark.parametrize(
    ("version", "nix_version", "trust"),
    [
        (0x126, "2.34.8", True),
        (0x123, "2.34.8", True),
        (0x122, "2.34.8", None),
        (0x120, None, None),
    ],
)
def test_each_version_of_the_greeting_is_understood(
    version: int, nix_version: Optional[str], trust: Optional[bool]
) -> None:
    connection = worker.WorkerConversation()
    (event,) = connection.receive(server_greeting(version))
    protocol = versions.protocol_version(version)
    nix = PeerText(nix_version) if nix_version else None
    assert event == Greeted(versions.WorkerServer(protocol, nix, trust))


def test_a_server_that_is_too_old_is_told_apart_from_rubbish() -> None:
    old = encode_number(0x6478696F) + encode_number(0x115)
    with pytest.raises(versions.UnsupportedVersion, match=r"1\.21"):
        list(worker.WorkerConversation().receive(old))
    with pytest.raises(WireError, match="not the worker protocol"):
        list(worker.WorkerConversation().receive(b"Welcome to the server!\n"))


def test_replies_are_matched_to_requests_in_order() -> None:
    connection = opened()
    lock, query = worker.AddTempRoot(A), worker.QueryValidPaths((A, B))
    connection.request(lock)
    connection.request(query)
    events = list(connection.receive(LAST + encode_number(1) + LAST + encode_texts([B])))
    assert events == [
        Replied(lock, None),
        Replied(query, frozenset({B})),
    ]
    assert connection.unanswered == ()


def test_a_refused_request_leaves_the_next_one_usable() -> None:
    connection = opened()
    add, lock = worker.AddTempRoot(A), worker.AddTempRoot(B)
    connection.request(add)
    connection.request(lock)
    events = list(connection.receive(failure("no") + LAST + encode_number(1)))
    assert events == [Refused(add, PeerText("no")), Replied(lock, None)]


def test_log_lines_come_before_the_reply_they_belong_to() -> None:
    connection = opened()
    barrier = worker.CollectGarbage()
    connection.request(barrier)
    line = encode_number(0x6F6C6D67) + encode_text("finding roots\n")
    reply = encode_texts(()) + encode_number(0) * 2
    assert list(connection.receive(line + LAST + reply)) == [
        Logged(PeerText("finding roots\n")),
        Replied(barrier, None),
    ]


def test_what_came_before_the_nonsense_still_counts() -> None:
    connection = opened()
    lock = worker.AddTempRoot(A)
    connection.request(lock)
    events = connection.receive(failure("no caches") + failure("no caches"))
    assert next(events) == Refused(lock, PeerText("no caches"))
    with pytest.raises(WireError, match="nothing was asked"):
        next(events)


def test_a_reply_to_nothing_is_an_error() -> None:
    with pytest.raises(WireError, match="nothing was asked"):
        list(opened().receive(LAST))


def test_a_reply_with_something_that_is_no_store_path_is_an_error() -> None:
    connection = opened()
    connection.request(worker.QueryValidPaths((A,)))
    with pytest.raises(WireError, match="not a store path"):
        list(connection.receive(LAST + encode_texts(["/etc/passwd"])))


def test_the_barrier_asks_to_delete_nothing() -> None:
    assert worker.CollectGarbage().encode() == b"".join(
        map(
            encode_number,
            (
                20,  # CollectGarbage
                1,  # return what is dead
                0,  # no paths named
                0,  # heed liveness
                0,  # free at most nothing
                *(0, 0, 0),  # obsolete
            ),
        )
    )


def test_a_path_is_registered_with_the_servers_clock_and_without_claims() -> None:
    info = PathInfo(A, bytes(range(32)), 120, (A, B), B, ("key:c2ln",), "")  # type: ignore[arg-type]
    assert worker.AddToStoreNar(info).encode() == b"".join(
        (
            encode_number(39),
            encode_text(A),
            encode_text(B),  # deriver
            encode_text("000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"),
            encode_texts([A, B]),
            encode_number(0),  # registration time
            encode_number(120),
            encode_bool(False),  # ultimate
            encode_texts(["key:c2ln"]),
            encode_text(""),  # not content-addressed
            encode_bool(False),  # repair
            encode_bool(True),  # do not check signatures
        )
    )
    plain, repairing = worker.AddToStoreNar(info).encode(), worker.AddToStoreNar(info, repair=True)
    assert repairing.encode() == plain[:-16] + encode_bool(True) + encode_bool(True)


@given(path_infos, st.data())
def test_path_infos_survive_however_they_are_cut(info: PathInfo, data: st.DataObject) -> None:
    connection = opened()
    request = worker.QueryPathInfo(info.path)
    connection.request(request)
    events: list[object] = []
    for piece in data.draw(pieces(LAST + encoded_info(info))):
        events += connection.receive(piece)
    assert events == [Replied(request, info)]


@given(st.binary(max_size=500))
def test_any_bytes_after_the_greeting_give_events_or_a_wire_error(data: bytes) -> None:
    connection = opened()
    connection.request(worker.QueryValidPaths((A,)))
    with contextlib.suppress(WireError):
        list(connection.receive(data))


_LINKS = st.sampled_from(["/home/me/a", "/home/me/b", "{temp:7}", "{censored}", "/proc/1/exe"])
_ROOTS = st.lists(st.tuples(_LINKS, st.sampled_from([A, B])), max_size=8)


@given(st.data(), _ROOTS, _ROOTS)
def test_of_all_roots_those_that_are_wanted_are_told(
    data: st.DataObject, told: list[worker.RootLink], wanted: list[worker.RootLink]
) -> None:
    connection = opened()
    find, lock = worker.FindRoots(frozenset(wanted)), worker.AddTempRoot(A)
    assert connection.request(find) == encode_number(14)
    connection.request(lock)
    words = b"".join(encode_text(word) for root in told for word in root)
    reply = LAST + encode_number(len(told)) + words + LAST + encode_number(1)
    events = [event for piece in data.draw(pieces(reply)) for event in connection.receive(piece)]
    assert events == [
        Replied(find, frozenset(wanted) & frozenset(told)),
        Replied(lock, None),
    ]


def test_the_roots_of_a_large_server_are_not_kept() -> None:
    connection = opened()
    last = ("/home/me/last", B)
    connection.request(worker.FindRoots(frozenset([last])))
    count = 5_000
    list(connection.receive(LAST + encode_number(count + 1)))
    tracemalloc.start()
    try:
        for number in range(count):
            list(connection.receive(encode_text(f"/home/me/{number:0100}") + encode_text(A)))
        assert tracemalloc.get_traced_memory()[1] < 400_000
    finally:
        tracemalloc.stop()
    (event,) = connection.receive(encode_text(last[0]) + encode_text(last[1]))
    assert isinstance(event, Replied)
    assert event.value == {last}
