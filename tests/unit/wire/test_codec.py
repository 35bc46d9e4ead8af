import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nix_remote.wire import codec
from nix_remote.wire.codec import Feed, WireError, decode
from tests.support.strategies import pieces

LENGTH_1, LENGTH_5, LENGTH_8 = (bytes([size]) + bytes(7) for size in (1, 5, 8))


def test_a_string_is_its_length_its_bytes_and_zeros_up_to_eight() -> None:
    assert codec.encode_bytes(b"nixos") == LENGTH_5 + b"nixos" + bytes(3)
    assert codec.encode_bytes(b"12345678") == LENGTH_8 + b"12345678"
    assert codec.encode_bytes(b"") == bytes(8)


def test_a_list_is_its_count_and_its_items() -> None:
    assert codec.encode_texts(["a"]) == LENGTH_1 + LENGTH_1 + b"a" + bytes(7)


@given(st.integers(0, 2**64 - 1))
def test_numbers_survive(value: int) -> None:
    assert decode(codec.read_number(), codec.encode_number(value)) == value


@given(st.lists(st.text()), st.data())
def test_texts_survive_however_they_are_cut(values: list[str], data: st.DataObject) -> None:
    feed = Feed(codec.read_texts())
    for piece in data.draw(pieces(codec.encode_texts(values))):
        feed.push(piece)
    assert feed.done
    assert feed.result == values


def test_one_byte_at_a_time_gives_the_same_result() -> None:
    feed = Feed(codec.read_texts())
    for byte in codec.encode_texts(["/nix/store", "", "x" * 100]):
        assert not feed.done
        feed.push(bytes([byte]))
    assert feed.result == ["/nix/store", "", "x" * 100]


def test_padding_that_is_not_zero_is_refused() -> None:
    with pytest.raises(WireError, match="padding"):
        decode(codec.read_bytes(), LENGTH_1 + b"a" + bytes(6) + b"\x01")


def test_a_truth_value_is_0_or_1() -> None:
    assert decode(codec.read_bool(), codec.encode_number(1)) is True
    assert decode(codec.read_bool(), codec.encode_number(0)) is False
    with pytest.raises(WireError):
        decode(codec.read_bool(), codec.encode_number(2))


def test_a_length_above_the_limit_is_refused_before_anything_of_it_is_read() -> None:
    feed = Feed(codec.read_bytes(limit=10))
    with pytest.raises(WireError, match="11 bytes"):
        feed.push(codec.encode_number(11))
    feed_of_list = Feed(codec.read_texts(max_items=3))
    with pytest.raises(WireError, match="4 items"):
        feed_of_list.push(codec.encode_number(4))


def test_bytes_beyond_the_end_of_a_message_are_an_error() -> None:
    with pytest.raises(WireError, match="after the end"):
        decode(codec.read_number(), codec.encode_number(1) + b"x")


def test_an_incomplete_message_has_no_result() -> None:
    with pytest.raises(WireError, match="not complete"):
        decode(codec.read_number(), b"\0\0\0")


@given(st.binary(max_size=200))
def test_any_bytes_give_a_result_or_a_wire_error(data: bytes) -> None:
    with contextlib.suppress(WireError):
        Feed(codec.read_texts()).push(data)
