"""A session of the worker protocol: greeting, order of replies, errors."""

import contextlib
from typing import Optional

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nix_remote.protocol import versions, worker
from nix_remote.protocol.conversation import Greeted, Logged, Refused, Replied
from nix_remote.protocol.worker_conversation import WorkerConversation
from nix_remote.text import PeerText
from nix_remote.wire.codec import (
    WireError,
    encode_number,
    encode_text,
    encode_texts,
)
from tests.support.fake_server import LAST, failure
from tests.support.paths import path

A, B = path("a"), path("b")


def server_greeting(version: int = 0x126) -> bytes:
    minor = min(version, 0x125) & 0xFF
    words = encode_number(0x6478696F) + encode_number(version)
    words += encode_text("2.34.8") if minor >= 33 else b""
    words += encode_number(1) if minor >= 35 else b""
    return words + LAST


def opened() -> WorkerConversation:
    connection = WorkerConversation()
    list(connection.receive(server_greeting()))
    return connection


def test_the_greeting_says_1_37_and_needs_no_answer_to_be_complete() -> None:
    assert WorkerConversation().greeting() == (
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
    connection = WorkerConversation()
    (event,) = connection.receive(server_greeting(version))
    protocol = versions.protocol_version(version)
    nix = PeerText(nix_version) if nix_version else None
    assert event == Greeted(versions.WorkerServer(protocol, nix, trust))


def test_a_server_that_is_too_old_is_told_apart_from_rubbish() -> None:
    old = encode_number(0x6478696F) + encode_number(0x115)
    with pytest.raises(versions.UnsupportedVersion, match=r"1\.21"):
        list(WorkerConversation().receive(old))
    with pytest.raises(WireError, match="not the worker protocol"):
        list(WorkerConversation().receive(b"Welcome to the server!\n"))


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
    with pytest.raises(WireError, match="without a request"):
        next(events)


def test_a_reply_to_nothing_is_an_error() -> None:
    with pytest.raises(WireError, match="without a request"):
        list(opened().receive(LAST))


@given(st.binary(max_size=500))
def test_any_bytes_after_the_greeting_give_events_or_a_wire_error(data: bytes) -> None:
    connection = opened()
    connection.request(worker.QueryValidPaths((A,)))
    with contextlib.suppress(WireError):
        list(connection.receive(data))
