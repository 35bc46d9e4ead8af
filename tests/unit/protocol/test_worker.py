"""The requests of the worker protocol against bytes written by hand, in pieces of all sizes."""

import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nix_remote.protocol import worker
from nix_remote.protocol.conversation import Replied
from nix_remote.store.paths import PathInfo
from nix_remote.wire.codec import (
    WireError,
    encode_bool,
    encode_number,
    encode_text,
    encode_texts,
)
from tests.support.fake_server import LAST, encoded_info
from tests.support.paths import path
from tests.support.strategies import path_infos, pieces
from tests.unit.protocol.test_worker_conversation import opened

A, B = path("a"), path("b")


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


@given(path_infos, st.integers(0, 2**40), st.data())
def test_the_time_of_registration_is_told(info: PathInfo, time: int, data: st.DataObject) -> None:
    connection = opened()
    request, next_one = worker.QueryRegistrationTime(info.path), worker.AddTempRoot(A)
    assert connection.request(request) == worker.QueryPathInfo(info.path).encode()
    connection.request(next_one)
    reply = LAST + encoded_info(info, time) + LAST + encode_number(1)
    events = [event for piece in data.draw(pieces(reply)) for event in connection.receive(piece)]
    assert events == [Replied(request, time), Replied(next_one, None)]


def test_a_path_that_is_not_valid_has_no_time_of_registration() -> None:
    connection = opened()
    request = worker.QueryRegistrationTime(A)
    connection.request(request)
    assert list(connection.receive(LAST + encode_bool(False))) == [Replied(request, None)]


_LINKS = st.sampled_from(["/home/me/a", "/home/me/b", "{temp:7}", "{censored}", "/proc/1/exe"])
_ROOTS = st.lists(st.tuples(_LINKS, st.sampled_from([A, B])), max_size=8)


@given(st.data(), _ROOTS, _ROOTS)
def test_of_all_roots_those_that_are_wanted_are_told(
    data: st.DataObject, listed: list[worker.RootLink], wanted: list[worker.RootLink]
) -> None:
    connection = opened()
    find, lock = worker.FindRoots(frozenset(wanted)), worker.AddTempRoot(A)
    assert connection.request(find) == encode_number(14)
    connection.request(lock)
    words = b"".join(encode_text(word) for root in listed for word in root)
    reply = LAST + encode_number(len(listed)) + words + LAST + encode_number(1)
    events = [event for piece in data.draw(pieces(reply)) for event in connection.receive(piece)]
    assert events == [
        Replied(find, frozenset(wanted) & frozenset(listed)),
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
