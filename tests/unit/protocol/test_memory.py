"""What a server can make us keep: it follows what was asked, whatever the server sends."""

from __future__ import annotations

import itertools
import tracemalloc
from typing import Any, Iterable, Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nix_remote.protocol import conversation as conversation_module
from nix_remote.protocol import serve, worker
from nix_remote.protocol.conversation import Conversation, Replied, Request
from nix_remote.protocol.worker_conversation import WorkerConversation
from nix_remote.store.paths import StorePath
from nix_remote.wire.codec import WireError, decode, encode_number, encode_text, encode_texts
from tests.support.fake_server import LAST
from tests.support.paths import path
from tests.unit.protocol.test_worker_conversation import server_greeting

PATHS = tuple(path(f"p{number}") for number in range(5))
SMALL_RESERVE = 256 * 1024
MEGABYTES = 2.0
"""More than such a reserve takes as Python objects: eight times its bytes."""


@pytest.fixture(autouse=True)
def small_reserve(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(conversation_module, "RESERVE", SMALL_RESERVE)


def opened() -> WorkerConversation:
    conversation = WorkerConversation()
    list(conversation.receive(server_greeting(0x126)))
    return conversation


def peak(conversation: Conversation[Any], pieces: Iterable[bytes]) -> float:
    """MiB that it takes until it refuses to go on; all events are kept."""
    tracemalloc.start()
    kept: list[object] = []
    try:
        with pytest.raises(WireError):
            kept.extend(event for piece in pieces for event in conversation.receive(piece))
        return tracemalloc.get_traced_memory()[1] / 2**20
    finally:
        tracemalloc.stop()


def many(item: bytes, count: int) -> Iterator[bytes]:
    return itertools.repeat(item * 100, count // 100)


def test_more_valid_paths_than_were_asked_about_are_refused_at_once() -> None:
    conversation = opened()
    conversation.request(worker.QueryValidPaths(PATHS))
    with pytest.raises(WireError, match="at most 5"):
        list(conversation.receive(LAST + encode_number(6)))


@pytest.mark.parametrize(
    "request_", [worker.QueryValidPaths(PATHS), serve.QueryValidPaths(PATHS, lock=False)]
)
def test_a_valid_path_that_was_not_asked_about_is_refused(
    request_: Request[frozenset[StorePath]],
) -> None:
    with pytest.raises(WireError, match="not asked about"):
        decode(request_.read_reply(), encode_texts([path("other")]))


def test_a_name_longer_than_a_store_path_is_refused_at_once() -> None:
    conversation = opened()
    conversation.request(worker.QueryValidPaths(PATHS))
    with pytest.raises(WireError, match="at most 255"):
        list(conversation.receive(LAST + encode_number(5) + encode_number(65_000)))


@pytest.mark.parametrize("count", [1, 10])
def test_references_without_end_end_at_the_reserve(count: int) -> None:
    conversation = opened()
    for _ in range(count):
        conversation.request(worker.QueryPathInfo(PATHS[0]))
    head = encode_number(1) + encode_text("") + encode_text("0" * 64)
    reference = encode_text(PATHS[1])

    def pieces() -> Iterator[bytes]:
        references = 20_000 // count
        for _ in range(count):
            yield LAST + head + encode_number(references)
            yield from many(reference, references)
            yield encode_number(0) * 3 + encode_number(0) + encode_text("")
        yield b"\1" * 8

    assert peak(conversation, pieces()) < MEGABYTES


def test_short_signatures_without_end_end_at_the_reserve() -> None:
    conversation = opened()
    head = encode_number(1) + encode_text("") + encode_text("0" * 64) + encode_number(0)
    for _ in range(100):
        conversation.request(worker.QueryPathInfo(PATHS[0]))

    def pieces() -> Iterator[bytes]:
        for _ in range(100):
            yield LAST + head + encode_number(0) * 3 + encode_number(1000)
            yield encode_text("ab") * 1000 + encode_text("")
        yield b"\1" * 8

    assert peak(conversation, pieces()) < MEGABYTES


def test_path_infos_that_were_not_asked_about_are_refused() -> None:
    conversation = serve.ServeConversation()
    list(conversation.receive(encode_number(0x5452EECB) + encode_number(0x207)))
    conversation.request(serve.QueryPathInfos(PATHS))
    with pytest.raises(WireError, match="not asked about"):
        list(conversation.receive(encode_text(path("other"))))


def test_what_a_collection_lists_is_not_kept() -> None:
    conversation = opened()
    conversation.request(worker.CollectGarbage())
    line = encode_text(PATHS[0])
    pieces = [LAST + encode_number(20_000), *many(line, 20_000), encode_number(0) * 2, b"\1" * 8]
    assert peak(conversation, pieces) < MEGABYTES / 4


@given(st.lists(st.sampled_from(PATHS), unique=True))
def test_any_of_the_paths_asked_about_may_be_valid(valid: list[StorePath]) -> None:
    conversation = opened()
    request = worker.QueryValidPaths(PATHS)
    conversation.request(request)
    (event,) = conversation.receive(LAST + encode_texts(valid))
    assert event == Replied(request, frozenset(valid))


def test_a_path_with_many_references_fits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    conversation = opened()
    request = worker.QueryPathInfo(PATHS[0])
    references = [path(f"reference-{number}") for number in range(5_000)]
    conversation.request(request)
    reply = encode_number(1) + encode_text("") + encode_text("0" * 64) + encode_texts(references)
    reply += encode_number(0) * 3 + encode_number(0) + encode_text("")
    (event,) = conversation.receive(LAST + reply)
    assert isinstance(event, Replied)
