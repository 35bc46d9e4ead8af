import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nix_remote.protocol.worker_log import Failure, Last, Line, Noise, read_message
from nix_remote.text import PeerText
from nix_remote.wire.codec import Feed, WireError, decode, encode_number, encode_text
from tests.support.fake_server import failure

START_ACTIVITY = 0x53545254


def activity(text: str, fields: bytes = encode_number(0)) -> bytes:
    head = encode_number(START_ACTIVITY) + b"".join(map(encode_number, (7, 3, 102)))
    return head + encode_text(text) + fields + encode_number(0)


def test_last_says_that_the_reply_follows() -> None:
    assert decode(read_message(), encode_number(0x616C7473)) == Last()


def test_a_log_line_loses_its_colours() -> None:
    line = encode_number(0x6F6C6D67) + encode_text("\x1b[31;1merror:\x1b[0m disk full\n")
    assert decode(read_message(), line) == Line(PeerText("error: disk full\n"))


def test_an_activity_with_a_description_is_a_line_and_fields_are_skipped() -> None:
    fields = encode_number(2) + encode_number(0) + encode_number(9)
    fields += encode_number(1) + encode_text("detail")
    assert decode(read_message(), activity("copying", fields)) == Line(PeerText("copying"))
    assert decode(read_message(), activity("")) == Noise()


def test_a_failure_gives_its_message_without_the_prefix() -> None:
    message = decode(read_message(), failure("\x1b[31merror:\x1b[0m path is not valid"))
    assert message == Failure(PeerText("path is not valid"))


def test_the_traces_of_a_failure_are_skipped() -> None:
    traced = failure("no")[:-8] + encode_number(1) + encode_number(0) + encode_text("while")
    assert decode(read_message(), traced) == Failure(PeerText("no"))


@pytest.mark.parametrize(
    "data",
    [
        encode_number(0x1234),
        activity("x", encode_number(65)),
        activity("x", encode_number(1) + encode_number(2)),
    ],
)
def test_what_no_server_sends_is_refused(data: bytes) -> None:
    with pytest.raises(WireError):
        decode(read_message(), data)


@given(st.binary(max_size=300))
def test_any_bytes_give_a_message_or_a_wire_error(data: bytes) -> None:
    with contextlib.suppress(WireError):
        Feed(read_message()).push(data)
