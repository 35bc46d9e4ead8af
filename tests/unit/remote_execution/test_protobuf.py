import contextlib
from dataclasses import dataclass
from typing import Annotated

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nix_remote.remote_execution import messages
from nix_remote.remote_execution.protobuf import ProtobufError, decode, encode
from tests.unit.remote_execution.examples import EXAMPLES

NUMBERS = st.integers(-(2**63), 2**63 - 1)


@dataclass(frozen=True)
class Inner:
    number: Annotated[int, 1] = 0
    flag: Annotated[bool, 2] = False


@dataclass(frozen=True)
class Everything:
    number: Annotated[int, 1] = 0
    text: Annotated[str, 2] = ""
    data: Annotated[bytes, 3] = b""
    inner: Annotated[Inner, 4] = Inner()
    numbers: Annotated[tuple[int, ...], 5] = ()
    texts: Annotated[tuple[str, ...], 16] = ()
    inners: Annotated[tuple[Inner, ...], 2000] = ()


INNERS = st.builds(Inner, NUMBERS, st.booleans())
MESSAGES = st.builds(
    Everything,
    NUMBERS,
    st.text(),
    st.binary(),
    INNERS,
    st.lists(NUMBERS, max_size=3).map(tuple),
    st.lists(st.text(), max_size=3).map(tuple),
    st.lists(INNERS, max_size=3).map(tuple),
)


@pytest.mark.parametrize(
    ("message", "data"),
    [
        # The examples of the format's own description.
        (Everything(number=150), "089601"),
        (Everything(text="testing"), "120774657374696e67"),
        (Everything(inner=Inner(150)), "2203089601"),
        (Everything(numbers=(3, 270, 86942)), "2a06038e029ea705"),
        (Everything(number=-2), "08feffffffffffffffff01"),
        (Everything(texts=("", "a")), "820100820101" + "61"),
        (Everything(), ""),
    ],
)
def test_bytes(message: Everything, data: str) -> None:
    assert encode(message).hex() == data
    assert decode(Everything, bytes.fromhex(data)) == message


@given(MESSAGES)
def test_messages_survive(message: Everything) -> None:
    assert decode(Everything, encode(message)) == message


@pytest.mark.parametrize("message", EXAMPLES, ids=lambda message: type(message).__name__)
def test_every_message_of_the_api_survives(message: object) -> None:
    assert decode(type(message), encode(message)) == message


def test_there_is_an_example_of_every_message() -> None:
    kinds = {each for each in vars(messages).values() if isinstance(each, type)} - {Annotated}
    assert {type(example) for example in EXAMPLES} == kinds


def test_fields_that_are_not_known_are_skipped() -> None:
    unknown = bytes.fromhex("5001590000000000000000620261616d00000000")
    assert decode(Inner, unknown + encode(Inner(7))) == Inner(7)


def test_what_is_sent_twice_counts_as_the_format_says() -> None:
    twice = encode(Everything(number=1, text="a")) + encode(Everything(number=2, text="b"))
    assert decode(Everything, twice) == Everything(number=2, text="b")
    parts = encode(Everything(inner=Inner(7))) + encode(Everything(inner=Inner(flag=True)))
    assert decode(Everything, parts) == Everything(inner=Inner(7, True))
    unpacked = bytes.fromhex("28012802")
    assert decode(Everything, unpacked) == Everything(numbers=(1, 2))


@pytest.mark.parametrize(
    "data",
    [
        "08",  # ends before the number
        "1205" + "61",  # ends in the middle of a text
        "1201ff",  # no UTF-8
        "0b",  # a wire type that is gone
        "08" + "ff" * 10 + "01",  # a number without an end
        "1001",  # a number for a text
        "0a00",  # nothing for a number
        "59" + "00" * 7,
    ],
)
def test_what_is_no_message(data: str) -> None:
    with pytest.raises(ProtobufError):
        decode(Everything, bytes.fromhex(data))


@given(st.binary(max_size=100))
def test_any_bytes_give_a_message_or_an_error(data: bytes) -> None:
    with contextlib.suppress(ProtobufError):
        decode(Everything, data)
