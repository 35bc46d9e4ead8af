"""The program between the two ends of a wide-area link.

    frame_delay.py NEAR FAR DELAY RATE    seconds, bytes per second (0: no limit)

Makes two TAP devices and passes Ethernet frames between them, each after DELAY.
Frames leave at RATE at most. If more than a round trip's worth (and at least 512 KiB)
is queued, further frames are dropped, as by a router.
Frames in flight overlap, and the program answers nothing: windows, slow start and
retransmissions are those of the hosts' kernels.

Prints "ready" once the devices exist. Ends and removes them at the end of its standard
input, so it cannot outlive its parent.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import select
import struct
import sys
import time
from collections import deque

_TUNSETIFF = 0x400454CA
_TUNSETOFFLOAD = 0x400454D0
_IFF_TAP, _IFF_NO_PI, _IFF_VNET_HDR = 0x0002, 0x1000, 0x4000
# Whole TCP segments of up to 64 KiB, not yet cut into packets nor checksummed: a
# fortieth of the frames. The header that says so is passed on with each.
_OFFLOADS = 0x01 | 0x02 | 0x04  # checksum, TSO4, TSO6
_LARGEST_FRAME = 1 << 17
_FRAMES_AT_ONCE = 64
_LEAST_QUEUE = 512 * 1024


class Direction:
    """Frames on their way to one device."""

    def __init__(self, target: int, delay: float, rate: float) -> None:
        self.target = target
        self._delay = delay
        self._rate = rate
        self._longest_wait = max(2 * delay, _LEAST_QUEUE / rate) if rate else 0.0
        self._idle_at = 0.0
        self._in_flight: deque[tuple[float, bytes]] = deque()

    def accept(self, frame: bytes, now: float) -> None:
        """Takes a frame in, or drops it."""
        leaves = now
        if self._rate:
            begins = max(now, self._idle_at)
            if begins - now > self._longest_wait:
                return
            leaves = self._idle_at = begins + len(frame) / self._rate
        self._in_flight.append((leaves + self._delay, frame))

    def deliver(self, now: float) -> None:
        """Delivers the frames that are due."""
        while self._in_flight and self._in_flight[0][0] <= now:
            _, frame = self._in_flight.popleft()
            # A device that is not up yet, or full: the frame is lost, as on a real link.
            with contextlib.suppress(OSError):
                os.write(self.target, frame)

    def next_due(self) -> float:
        """When the next frame is due."""
        return self._in_flight[0][0] if self._in_flight else float("inf")


def open_tap(name: str) -> int:
    device = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    flags = _IFF_TAP | _IFF_NO_PI | _IFF_VNET_HDR
    fcntl.ioctl(device, _TUNSETIFF, struct.pack("16sH22x", name.encode(), flags))
    fcntl.ioctl(device, _TUNSETOFFLOAD, _OFFLOADS)
    return device


def main() -> None:
    near_name, far_name, delay, rate = sys.argv[1:]
    near, far = open_tap(near_name), open_tap(far_name)
    from_device = {
        near: Direction(far, float(delay), float(rate)),
        far: Direction(near, float(delay), float(rate)),
    }
    print("ready", flush=True)
    stdin = sys.stdin.fileno()
    while True:
        due = min(direction.next_due() for direction in from_device.values())
        wait = None if due == float("inf") else max(0.0, due - time.monotonic())
        # Not poll or epoll: they wait for whole milliseconds.
        readable, _, _ = select.select([near, far, stdin], [], [], wait)
        if stdin in readable:
            return
        for device in readable:
            for _ in range(_FRAMES_AT_ONCE):
                try:
                    frame = os.read(device, _LARGEST_FRAME)
                except BlockingIOError:
                    break
                from_device[device].accept(frame, time.monotonic())
        for direction in from_device.values():
            direction.deliver(time.monotonic())


if __name__ == "__main__":
    main()
