import pytest
from hypothesis import given
from hypothesis import strategies as st

from nix_remote.ssh.config import syntax
from nix_remote.ssh.config.syntax import (
    Destination,
    parse_destination,
    parse_line,
    parse_seconds,
)


@pytest.mark.parametrize("text", ["", "   ", "# x", "  # x", "\t", "\f"])
def test_empty_lines_and_comments(text: str) -> None:
    assert parse_line(text) is None


@pytest.mark.parametrize(
    "text", ["Port 22", "Port=22", "port = 22", "\tPORT\t=22 \r", "Port 22 # x"]
)
def test_ways_to_write_one_line(text: str) -> None:
    line = parse_line(text)
    assert line is not None
    assert (line.keyword, line.words) == ("port", ("22",))


@pytest.mark.parametrize("text", ["Port", "=22", 'Port "22', '"Port 22'])
def test_invalid_lines(text: str) -> None:
    with pytest.raises(ValueError, match=r"keyword|argument|quote"):
        parse_line(text)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("0", 0), ("90", 90), ("90s", 90), ("1m30s", 90), ("1M30", 90), ("1w1d1h", 694800)],
)
def test_times(text: str, seconds: int) -> None:
    assert parse_seconds(text) == seconds


@pytest.mark.parametrize("text", ["", "x", "1x", "1s1s", "1 s", "-1", "1.5m", "99999999999", "1e3"])
def test_invalid_times(text: str) -> None:
    with pytest.raises(ValueError, match="invalid time"):
        parse_seconds(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("host", Destination("host")),
        ("me@host:22", Destination("host", "me", 22)),
        ("a@b@host", Destination("host", "a@b")),
        ("[fe80::1]:22", Destination("fe80::1", None, 22)),
        ("ssh://me@host:22", Destination("host", "me", 22)),
    ],
)
def test_jump_hosts(text: str, expected: Destination) -> None:
    assert parse_destination(text) == expected


@pytest.mark.parametrize("text", ["", "@host", "me@", "host:0", "host:70000", "a:b:c", "[]"])
def test_invalid_jump_hosts(text: str) -> None:
    with pytest.raises(ValueError, match="invalid"):
        parse_destination(text)


@given(st.lists(st.text(min_size=1).filter(lambda word: "\\" not in word and '"' not in word)))
def test_quoted_words_are_unchanged(words: list[str]) -> None:
    assert syntax.split_words(" ".join(f'"{word}"' for word in words)) == tuple(words)
