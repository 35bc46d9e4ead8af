import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nix_remote.protocol import serve
from nix_remote.protocol.conversation import Greeted, Replied
from nix_remote.protocol.versions import ServeServer, UnsupportedVersion, protocol_version
from nix_remote.store.paths import PathInfo, format_nar_hash
from nix_remote.wire.codec import (
    WireError,
    encode_bool,
    encode_number,
    encode_text,
    encode_texts,
)
from tests.support.paths import path
from tests.support.strategies import path_infos, pieces

A, B = path("a"), path("b")


def server_greeting(version: int = 0x207) -> bytes:
    return encode_number(0x5452EECB) + encode_number(version)


def opened() -> serve.ServeConversation:
    conversation = serve.ServeConversation()
    list(conversation.receive(server_greeting()))
    return conversation


def test_the_greeting_is_magic_and_version() -> None:
    assert serve.ServeConversation().greeting() == encode_number(0x390C9DEB) + encode_number(0x207)


@pytest.mark.parametrize(("theirs", "spoken"), [(0x208, (2, 7)), (0x207, (2, 7)), (0x205, (2, 5))])
def test_the_version_spoken_is_the_lower_one(theirs: int, spoken: tuple[int, int]) -> None:
    conversation = serve.ServeConversation()
    assert list(conversation.receive(server_greeting(theirs))) == [
        Greeted(ServeServer(protocol_version(theirs)))
    ]
    assert conversation.server is not None
    assert conversation.server.effective == spoken


def test_servers_that_are_too_old_and_rubbish_are_refused() -> None:
    with pytest.raises(UnsupportedVersion, match=r"serve protocol 2\.4"):
        list(serve.ServeConversation().receive(server_greeting(0x204)))
    with pytest.raises(WireError, match="not the serve protocol"):
        list(serve.ServeConversation().receive(b"Last login: Sunday"))


def test_a_query_can_lock_and_substitute() -> None:
    assert serve.QueryValidPaths((A,), lock=True).encode() == b"".join(
        (encode_number(1), encode_bool(True), encode_bool(False), encode_texts([A]))
    )
    assert serve.QueryValidPaths((A,), lock=False, substitute=True).encode() == b"".join(
        (encode_number(1), encode_bool(False), encode_bool(True), encode_texts([A]))
    )


def test_replies_to_requests_sent_at_once_come_in_their_order() -> None:
    conversation = opened()
    query = serve.QueryValidPaths((A, B), lock=True)
    add = serve.AddToStoreNar(PathInfo(A, bytes(32), 8))  # type: ignore[arg-type]
    conversation.request(query)
    conversation.request(add)
    events = list(conversation.receive(encode_texts([B]) + encode_number(1)))
    assert events == [Replied(query, frozenset({B})), Replied(add, None)]


def test_a_reply_belongs_to_the_request_that_was_sent_before_it_came() -> None:
    # Nothing is unanswered when the session opens; the request comes later.
    conversation = opened()
    assert list(conversation.receive(b"")) == []
    query = serve.QueryClosure((A,))
    conversation.request(query)
    assert list(conversation.receive(encode_texts([A, B]))) == [Replied(query, [A, B])]


def test_a_reply_to_nothing_and_a_wrong_confirmation_are_errors() -> None:
    with pytest.raises(WireError, match="without a request"):
        list(opened().receive(encode_number(1)))
    conversation = opened()
    conversation.request(serve.AddToStoreNar(PathInfo(A, bytes(32), 8)))  # type: ignore[arg-type]
    with pytest.raises(WireError, match="instead of 1"):
        list(conversation.receive(encode_number(2)))


def encoded(info: PathInfo) -> bytes:
    return b"".join(
        (
            encode_text(info.path),
            encode_text(info.deriver or ""),
            encode_texts(info.references),
            encode_number(info.nar_size),
            encode_number(info.nar_size),
            encode_text(format_nar_hash(info.nar_hash)),
            encode_text(info.content_address),
            encode_texts(info.signatures),
        )
    )


@given(st.lists(path_infos, max_size=3), st.data())
def test_path_infos_survive_however_they_are_cut(
    infos: list[PathInfo], data: st.DataObject
) -> None:
    conversation = opened()
    query = serve.QueryPathInfos(tuple(info.path for info in infos))
    conversation.request(query)
    events: list[object] = []
    for piece in data.draw(pieces(b"".join(map(encoded, infos)) + encode_text(""))):
        events += conversation.receive(piece)
    assert events == [Replied(query, infos)]


def test_one_byte_at_a_time_gives_the_same_result() -> None:
    conversation = serve.ServeConversation()
    query = serve.QueryValidPaths((A, B), lock=True)
    conversation.request(query)
    events: list[object] = []
    for byte in server_greeting() + encode_texts([A]):
        events += conversation.receive(bytes([byte]))
    assert events[1:] == [Replied(query, frozenset({A}))]


@given(st.binary(max_size=500))
def test_any_bytes_after_the_greeting_give_events_or_a_wire_error(data: bytes) -> None:
    conversation = opened()
    for _ in range(3):
        conversation.request(serve.QueryPathInfos((A,)))
    with contextlib.suppress(WireError):
        list(conversation.receive(data))
