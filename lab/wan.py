"""Wide-area links: gives a running host a round-trip time and a bandwidth.

The link delays packets, not connections: all traffic of the host is affected,
and TCP behaves as over a real distance.
"""

from __future__ import annotations

import select
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import Iterator, Optional

from lab.commands import LabError
from lab.host import Host

_PROGRAM = Path(__file__).with_name("frame_delay.py")


@contextmanager
def wide_area_link(
    host: Host, *, rtt_ms: float, mbit_per_second: Optional[float] = None
) -> Iterator[None]:
    """In a `with` block, delays all traffic of `host`. Open connections survive both ends of it."""
    number = host.plan.number
    near, far = f"near{number}", f"far{number}"
    rate = mbit_per_second * 1e6 / 8 if mbit_per_second is not None else 0
    program = subprocess.Popen(
        [
            *("ip", "netns", "exec", host.switch.namespace, sys.executable, str(_PROGRAM)),
            *(near, far, str(rtt_ms / 2000), str(rate)),
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    try:
        _wait_until_ready(program)
        host.switch.detour(number, near, far)
        try:
            yield
        finally:
            host.switch.straighten(number)
    finally:
        assert program.stdin is not None
        assert program.stdout is not None
        program.stdin.close()
        program.wait(timeout=10)
        program.stdout.close()


def _wait_until_ready(program: subprocess.Popen[bytes]) -> None:
    assert program.stdout is not None
    readable, _, _ = select.select([program.stdout], [], [], 10)
    if not readable or program.stdout.readline() != b"ready\n":
        raise LabError("the link's program did not start; its reason is on standard error")
