"""Text and numbers from outside: what may come out, whatever goes in."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nix_remote.text import (
    LONGEST,
    LONGEST_LINE,
    PeerText,
    decimal,
    decimal_fraction,
    printable,
)

HOSTILE = st.text(
    st.one_of(
        st.characters(),
        st.sampled_from("\x1b[]m;0\x07\\\x9b\x9d\x90\u202e\u2066\u2069\u2028\u2029\u200b\r\n\t"),
        st.characters(categories=["Cc", "Cf", "Cs", "Zl", "Zp"]),
    )
)


def is_safe(text: str, *, beside: str = "") -> bool:
    return not any(
        unicodedata.category(each) in ("Cc", "Cs", "Zl", "Zp")
        or unicodedata.bidirectional(each)
        in ("LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI")
        for each in text
        if each not in beside
    )


@given(HOSTILE)
def test_a_printable_text_has_nothing_that_a_terminal_obeys(text: str) -> None:
    assert is_safe(printable(text), beside="\n\t")


@given(HOSTILE)
def test_making_a_text_printable_twice_changes_nothing(text: str) -> None:
    assert printable(printable(text)) == printable(text)


@given(st.text(st.characters(categories=["L", "N", "P", "S"]), max_size=50))
def test_what_is_printable_stays_as_it_is(text: str) -> None:
    assert printable(text) == text


def test_escape_sequences_go_as_a_whole() -> None:
    assert printable("a\x1b]0;owned\x07b\x1b]8;;http://x\x1b\\c\x9b31md\x1bPq\x1b\\e") == "abcde"


@given(st.one_of(HOSTILE, st.binary()))
def test_no_form_of_a_peers_text_is_unsafe(raw: str | bytes) -> None:
    text = PeerText(raw)
    assert is_safe(text.plain, beside="\n\t")
    assert is_safe(text.shown(), beside="\n\t")
    for form in (str(text), f"{text}", f"{text:>40}", repr(text), text.line(), f"{[text]}"):
        assert is_safe(form)


@given(HOSTILE)
def test_a_peers_text_is_cut_and_keeps_its_end(text: str) -> None:
    shown = PeerText(f"{text}x" * LONGEST + "the cause")
    assert len(shown.shown()) <= LONGEST + 5
    assert len(shown.line()) <= LONGEST_LINE + 5
    assert shown.shown().endswith("the cause")


def test_a_peers_text_cannot_forge_a_line() -> None:
    assert str(PeerText("2.34\nerror[x]: no\x85\u2028y")) == "2.34 error[x]: no y"


def test_a_peers_text_is_equal_by_what_is_left_of_it() -> None:
    assert PeerText(b"a\x1b[m") == PeerText("a")
    assert PeerText("b") != PeerText("a")
    assert PeerText("a") != "a"
    assert len({PeerText("a"), PeerText(b"a")}) == 1
    assert not PeerText("")
    with pytest.raises(AttributeError):
        PeerText("a")._plain = "b"


@given(st.integers(0, 2**63 - 1))
def test_a_number_is_parsed(number: int) -> None:
    assert decimal(str(number)) == number
    assert decimal(str(number), at_most=number - 1) is None


@pytest.mark.parametrize(
    "text",
    [
        *("", "²", "٣", "\uff11", "1_0", "+1", "-1", " 1", "1 ", "1\n", "0x1", "1.0", "1e3"),
        *("inf", "nan", str(2**63), "9" * 21, "9" * 10_000),
    ],
)
def test_what_python_takes_for_a_number_need_not_be_one(text: str) -> None:
    assert decimal(text) is None


@given(st.text(st.one_of(st.characters(categories=["N"]), st.sampled_from("0123456789_+-. \n"))))
def test_any_text_is_a_number_or_none(text: str) -> None:
    expected = text.isascii() and text.isdigit() and len(text) <= 20 and int(text) < 2**63
    assert (decimal(text) is not None) == expected


@pytest.mark.parametrize(
    ("text", "value"), [("0", 0.0), ("1.5", 1.5), ("600", 600.0), ("0.25", 0.25)]
)
def test_a_fraction_is_parsed(text: str, value: float) -> None:
    assert decimal_fraction(text) == value


@pytest.mark.parametrize(
    "text", ["", ".5", "5.", "1e3", "nan", "inf", "1_0", "\u0663.\u0665", "²", " 1", "-1", "9" * 16]
)
def test_what_is_no_fraction_is_refused(text: str) -> None:
    assert decimal_fraction(text) is None
