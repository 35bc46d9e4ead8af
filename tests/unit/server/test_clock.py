"""From the server's times to times on this machine's clock."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from nix_remote.server.clock import ClockReading

SECONDS = st.floats(0, 4e9, allow_nan=False)


def test_a_path_of_an_hour_ago() -> None:
    assert ClockReading(server=10_000, at_latest=500.0).valid_since(6_399) == 500.0 - 3600.0


def test_a_path_that_may_be_newer_than_the_reading_has_no_age() -> None:
    assert ClockReading(server=10_000, at_latest=500.0).valid_since(10_000) is None
    assert ClockReading(server=10_000, at_latest=500.0).valid_since(10_001) is None


@given(registered=SECONDS, later=SECONDS, delay=st.floats(0, 100), offset=st.floats(-1e6, 1e6))
def test_no_path_counts_as_older_than_it_is(
    registered: float, later: float, delay: float, offset: float
) -> None:
    """Whatever the difference of the clocks, and however long the answer takes."""
    read = registered + later
    reading = ClockReading(server=int(read), at_latest=read + delay + offset)
    since = reading.valid_since(int(registered))
    assert since is None or since >= registered + offset - 1e-5
