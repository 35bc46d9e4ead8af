import argparse

import pytest

from nix_remote.cli.options import duration


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90", 90),
        ("0s", 0),
        ("15m", 900),
        ("12h", 43200),
        ("1.5h", 5400),
        ("30d", 2592000),
        ("2w", 1209600),
    ],
)
def test_durations(text: str, seconds: float) -> None:
    assert duration(text) == seconds


@pytest.mark.parametrize("text", ["", "d", "-1d", "1y", "1d2h", "soon", "1e9"])
def test_invalid_durations(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError):
        duration(text)
