"""The client's memory does not grow with the number of paths that it does not query.

./tools/test endurance -k many_paths
"""

from __future__ import annotations

import subprocess
import sys

import pytest

_MILLION = 1_000_000


@pytest.mark.timeout(1200)
@pytest.mark.parametrize(
    ("what", "count", "bound"),
    [
        ("prune", _MILLION, 50),
        ("count", _MILLION, 50),
        ("closure", _MILLION, 50),
        # What a command prints it holds.
        ("list", 100_000, 150),
    ],
)
def test_memory_is_bounded(what: str, count: int, bound: int) -> None:
    command = [sys.executable, "-m", "tests.endurance.many", what, str(count)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=1100)
    assert done.returncode == 0, done.stderr
    print(f"\n{what} {count}: {done.stdout.strip()} MiB")
    assert int(done.stdout) < bound
