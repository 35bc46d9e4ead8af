"""Which Nix it is, by what it says of itself."""

from __future__ import annotations

from typing import Optional

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nix_remote.protocol.implementations import (
    Implementation,
    Kind,
    described,
    from_greeting,
    from_sentence,
)


@pytest.mark.parametrize(
    ("printed", "found"),
    [
        ("nix-store (Nix) 2.34.8\n", Implementation(Kind.NIX, (2, 34, 8))),
        ("nix (Nix) 2.35.0pre20260101_abcdef", Implementation(Kind.NIX, (2, 35, 0))),
        ("nix-store (Nix) 2.26.3+dfsg", Implementation(Kind.NIX, (2, 26, 3))),
        ("nix (Lix, like Nix) 2.95.3", Implementation(Kind.LIX, (2, 95, 3))),
        (
            "nix-store (Lix, like Nix) 2.93.0-dev-pre20250101",
            Implementation(Kind.LIX, (2, 93, 0)),
        ),
        (
            "nix-store (Determinate Nix 3.17.3) 2.33.3",
            Implementation(Kind.DETERMINATE, (3, 17, 3), (2, 33, 3)),
        ),
        ("nix-remote-dispatcher: this account may not run that", None),
        ("", None),
        ("nix (Nix) unstable", None),
        ("nix-store (Nix) ²", None),
        ("nix-store (Nix) " + "9" * 5000, None),
    ],
)
def test_the_sentence(printed: str, found: Optional[Implementation]) -> None:
    assert from_sentence(printed) == found


@pytest.mark.parametrize(
    ("greeting", "words"),
    [
        ("2.34.8", "Nix 2.34.8"),
        ("2.95.3", "Lix 2.95.3"),
        ("2.90.0-rc1", "Lix 2.90.0-rc1"),
        ("3.0.0", "Nix 3.0.0"),
        ("of unknown version", "Nix of unknown version"),
    ],
)
def test_lix_is_called_by_its_name(greeting: str, words: str) -> None:
    assert described(greeting) == words


@given(st.text())
def test_fuzz_whatever_is_said_is_no_crash(text: str) -> None:
    from_greeting(text)
    from_sentence(text)
    from_sentence(f"nix (Determinate Nix {text}) {text}")
