"""Recorded sessions of real Nix daemons, played back to our side of the protocols."""

from __future__ import annotations

import pytest

from nix_remote.protocol.conversation import Conversation, Refused, Replied
from tests.golden.script import PROTOCOLS, TOP, Recording, recordings

ALL = recordings()


def test_every_version_and_protocol_has_been_recorded() -> None:
    found = {(one.protocol, one.nix_version) for one in ALL}
    assert found == {
        (protocol, version)
        for protocol in ("worker", "serve")
        for version in ("2.8.0", "2.26.3", "2.34.8")
    }


def begin(recording: Recording) -> tuple[Conversation[object], bytes]:
    """A conversation in which everything of the recording has been said, and what that was."""
    kind, steps = PROTOCOLS[recording.protocol]
    conversation = kind()
    said = [conversation.greeting()]
    said += [step if isinstance(step, bytes) else conversation.request(step) for step in steps]
    return conversation, b"".join(said)


def name(recording: Recording) -> str:
    return f"{recording.protocol}-{recording.nix_version}"


@pytest.mark.parametrize("recording", ALL, ids=name)
def test_we_say_what_we_said(recording: Recording) -> None:
    _, said = begin(recording)
    assert said == recording.sent


@pytest.mark.parametrize("recording", ALL, ids=name)
@pytest.mark.parametrize("size", [1, 7, 8, 4096, 10**6])
def test_answers_mean_what_they_meant_in_pieces_of_any_size(
    recording: Recording, size: int
) -> None:
    conversation, _ = begin(recording)
    events = []
    for start in range(0, len(recording.received), size):
        events += conversation.receive(recording.received[start : start + size])
    assert tuple(repr(event) for event in events) == recording.events
    assert conversation.unanswered == ()


@pytest.mark.parametrize("recording", ALL, ids=name)
def test_the_server_registered_what_we_sent(recording: Recording) -> None:
    conversation, _ = begin(recording)
    events = conversation.receive(recording.received)
    values = [event.value for event in events if isinstance(event, Replied)]
    infos = [value for value in values if value is not None]
    assert TOP in infos or [TOP] in [i[-1:] for i in infos if isinstance(i, list)] or any(
        isinstance(value, list) and TOP in value for value in infos
    )
    refused = [event.message for event in events if isinstance(event, Refused)]
    assert all(refused)
