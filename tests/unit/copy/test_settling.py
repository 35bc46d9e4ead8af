"""How long a copy waits for executors."""

from __future__ import annotations

import pytest

from nix_remote.copy.settling import ValidSince, seconds_left
from tests.support.paths import path

BASH, GCC = path("bash"), path("gcc")


@pytest.mark.parametrize(
    ("since", "settle", "left"),
    [
        ({}, 1.0, 0.0),
        ({BASH: 100.0}, 1.0, 1.0),
        ({BASH: 99.75}, 1.0, 0.75),
        ({BASH: 99.0}, 1.0, 0.0),
        ({BASH: 50.0}, 1.0, 0.0),
        ({BASH: 50.0, GCC: 99.5}, 1.0, 0.5),
        ({BASH: 100.0}, 0.0, 0.0),
        ({BASH: 98.0}, 3.0, 1.0),
    ],
)
def test_it_lasts_until_the_youngest_path_is_old_enough(
    since: ValidSince, settle: float, left: float
) -> None:
    assert seconds_left(since, settle, now=100.0) == left
