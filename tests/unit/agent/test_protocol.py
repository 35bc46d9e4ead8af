"""The thin client and the agent's side agree, and both with PROTOCOL.md."""

from __future__ import annotations

import contextlib
import os
import re
import socket
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import nix_remote
from nix_remote.agent import protocol, thin_client
from nix_remote.agent.protocol import (
    LARGEST_REQUEST,
    Cancel,
    Inbox,
    OtherVersion,
    ProtocolError,
    QueryStatus,
    Run,
    Stop,
)
from nix_remote.agent.server import ALIVE_EVERY
from nix_remote.agent.thin_client import framing

DOCUMENT = (Path(protocol.__file__).parent / "PROTOCOL.md").read_text()

WORDS = st.text(st.characters(codec="utf-8", exclude_characters="\0"))


def test_versions_are_the_same() -> None:
    assert nix_remote.__version__ == framing.VERSION


def test_the_document_lists_every_kind_of_frame_and_no_other() -> None:
    rows = re.findall(r"^\| `([A-Z])` \|", DOCUMENT, re.M)
    kinds = {
        value.decode()
        for name, value in vars(framing).items()
        if name.isupper() and isinstance(value, bytes)
    }
    assert len(rows) == len(set(rows))
    assert set(rows) == kinds


def test_the_document_has_the_right_figures() -> None:
    assert f"at most {LARGEST_REQUEST >> 20} MiB" in DOCUMENT
    assert f"at most {framing.LARGEST_FRAME >> 20} MiB" in DOCUMENT
    assert f"frame every {ALIVE_EVERY:g} s" in DOCUMENT
    assert f"at most {framing.SILENCE:g} s for a frame" in DOCUMENT
    assert framing.SILENCE > 3 * ALIVE_EVERY


@pytest.mark.parametrize(
    ("kind", "message"),
    [(framing.CANCEL, Cancel()), (framing.STATUS, QueryStatus()), (framing.STOP, Stop())],
)
def test_requests_without_content(kind: bytes, message: object) -> None:
    assert Inbox().receive(framing.hello() + framing.frame(kind)) == [message]
    with pytest.raises(ProtocolError):
        Inbox().receive(framing.hello() + framing.frame(kind, b"x"))


@given(st.lists(WORDS, min_size=1), st.booleans(), st.integers(1, 50))
def test_a_command_is_preserved_in_pieces_of_any_size(
    arguments: list[str], terminal: bool, size: int
) -> None:
    data = framing.hello() + thin_client.run_request(arguments, terminal=terminal)
    inbox = Inbox()
    pieces = [data[start : start + size] for start in range(0, len(data), size)]
    (run,) = [message for piece in pieces for message in inbox.receive(piece)]
    assert run == Run(tuple(arguments), os.getcwd(), dict(os.environ), terminal)


def test_bytes_that_are_not_text_are_preserved(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(os.environb, b"ODD", b"\xff=\xfe")
    data = framing.hello() + thin_client.run_request([os.fsdecode(b"\xff")], terminal=False)
    (run,) = Inbox().receive(data)
    assert isinstance(run, Run)
    assert os.fsencode(run.arguments[0]) == b"\xff"
    assert os.fsencode(run.environment["ODD"]) == b"\xff=\xfe"


def test_of_another_version_only_the_greeting_is_understood() -> None:
    hello = framing.frame(framing.HELLO, b"nix-remote 2 9.9")
    assert Inbox().receive(hello + b"whatever comes then") == [OtherVersion()]


@given(st.binary(max_size=200), st.booleans())
def test_invalid_bytes_raise_only_protocol_errors(data: bytes, greeted: bool) -> None:
    with contextlib.suppress(ProtocolError):
        Inbox().receive((framing.hello() if greeted else b"") + data)


def test_a_message_that_is_too_long_is_refused_before_it_is_received() -> None:
    head = framing.RUN + (LARGEST_REQUEST + 1).to_bytes(4, "big")
    with pytest.raises(ProtocolError):
        Inbox().receive(framing.hello() + head)


def converse(*frames: bytes) -> tuple[socket.socket, socket.socket]:
    here, there = socket.socketpair()
    for frame in frames:
        there.sendall(frame)
    return here, there


def test_the_client_writes_the_texts_of_the_agent(
    capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    name = os.fsencode(tmp_path / "folder" / "file")
    here, there = converse(
        framing.hello(),
        framing.frame(framing.ERROR_TEXT, b"to err\n"),
        framing.frame(framing.ALIVE),
        framing.frame(framing.OUTPUT_TEXT, b"to out\n"),
        framing.frame(framing.FILE, name + b"\0a\0b"),
        framing.frame(framing.EXIT, b"17"),
    )
    with here, there:
        assert thin_client.ask(here, framing.frame(framing.STATUS)) == 17
    assert capfd.readouterr() == ("to out\n", "to err\n")
    assert (tmp_path / "folder" / "file").read_bytes() == b"a\0b"


@pytest.mark.parametrize("cut", [0, 3, 30, -1])
def test_a_connection_that_ends_without_an_exit_status_is_lost(cut: int) -> None:
    said = framing.hello() + framing.frame(framing.EXIT, b"0")
    here, there = converse(said[:cut])
    there.close()
    with here, pytest.raises(framing.Lost):
        thin_client.ask(here, framing.frame(framing.STATUS))


@pytest.mark.parametrize(
    "said",
    [
        framing.frame(framing.HELLO, b"nix-remote 1 9.9"),
        framing.hello() + framing.frame(framing.DECLINED, b"busy"),
        framing.hello() + b"?" + bytes(4),
        framing.hello() + framing.EXIT + b"\xff\xff\xff\xff",
    ],
    ids=["other version", "declined", "unknown", "too long"],
)
def test_the_client_works_alone_when_it_is_not_served(said: bytes) -> None:
    here, there = converse(said)
    with here, there, pytest.raises(framing.Unusable):
        thin_client.ask(here, framing.frame(framing.STATUS))


def test_the_client_works_alone_without_messages_of_the_agent(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    here, there = converse(framing.hello(), framing.frame(framing.ALIVE))
    here.settimeout(0.1)
    with here, there, pytest.raises(framing.Unusable):
        thin_client.ask(here, framing.frame(framing.STATUS))
