"""Recorded sessions of real Nix daemons, played back to our side of the protocols."""

from __future__ import annotations

from typing import Any

import pytest

from nix_remote.errors import PathContentChanged
from nix_remote.protocol.conversation import Conversation, Event, Refused, Replied
from nix_remote.server.nix_errors import Account, ReferenceVanished, path_error
from tests.golden.script import LEAF, TOP, Recording, begin, describe, recordings

ALL = recordings()


def test_every_version_and_protocol_has_been_recorded() -> None:
    found = {(one.protocol, one.nix_version) for one in ALL}
    assert found == {
        (protocol, version)
        for protocol in ("worker", "serve")
        for version in ("2.8.0", "2.26.3", "2.34.8")
    }


def say_all(recording: Recording) -> tuple[Conversation[Any], bytes]:
    """A conversation in which everything of the recording has been said, and what that was."""
    conversation, steps = begin(recording.protocol, recording.nix_version)
    said = [conversation.greeting()]
    said += [step if isinstance(step, bytes) else conversation.request(step) for step in steps]
    return conversation, b"".join(said)


def name(recording: Recording) -> str:
    return f"{recording.protocol}-{recording.nix_version}"


@pytest.mark.parametrize("recording", ALL, ids=name)
def test_we_say_what_we_said(recording: Recording) -> None:
    _, said = say_all(recording)
    assert said == recording.sent


@pytest.mark.parametrize("recording", ALL, ids=name)
@pytest.mark.parametrize("size", [1, 7, 8, 4096, 10**6])
def test_answers_mean_what_they_meant_in_pieces_of_any_size(
    recording: Recording, size: int
) -> None:
    conversation, _ = say_all(recording)
    events: list[Event[Any]] = []
    for start in range(0, len(recording.received), size):
        events += conversation.receive(recording.received[start : start + size])
    assert tuple(map(describe, events)) == recording.events
    assert conversation.unanswered == ()


@pytest.mark.parametrize("recording", ALL, ids=name)
def test_the_server_registered_what_we_sent(recording: Recording) -> None:
    conversation, _ = say_all(recording)
    replies = [e.value for e in conversation.receive(recording.received) if isinstance(e, Replied)]
    if recording.protocol == "worker":
        assert TOP in replies
    else:
        infos: Any = replies[5]
        assert sorted(infos, key=lambda info: info.path) == sorted(
            [LEAF, TOP], key=lambda info: info.path
        )


@pytest.mark.parametrize("recording", [r for r in ALL if r.protocol == "worker"], ids=name)
def test_what_was_refused_is_told_apart(recording: Recording) -> None:
    conversation, _ = say_all(recording)
    refused = [e for e in conversation.receive(recording.received) if isinstance(e, Refused)]
    kinds = [type(path_error(e.message.shown(), Account("s", "me"), TOP)) for e in refused]
    assert kinds == [ReferenceVanished, PathContentChanged]
