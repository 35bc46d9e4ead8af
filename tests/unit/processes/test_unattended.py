import time

import pytest

from nix_remote.processes import ProcessFailed, exit_status


def test_an_exit_status_is_waited_for_with_a_bound() -> None:
    assert exit_status(["sh", "-c", "exit 3"], timeout=10) == 3
    begun = time.monotonic()
    with pytest.raises(ProcessFailed, match=r"did not end within 0.1 s"):
        exit_status(["sh", "-c", "sleep 1000; true"], timeout=0.1)
    assert time.monotonic() - begun < 5
