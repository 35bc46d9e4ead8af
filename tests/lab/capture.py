"""What passes a host's network card: payload of one TCP port, with times and directions.

A capture sees what is on the wire at that host, as tcpdump would: times are those of
arrival and departure there. Belongs here: recording. What it means is for the reader.
"""

from __future__ import annotations

import select
import socket
import struct
import threading
import time
from dataclasses import dataclass
from typing import Optional

from tests.lab.commands import LabError
from tests.lab.host import Host
from tests.lab.network import enter_namespace

_ETH_P_ALL = 0x0003
_ETH_P_IP = 0x0800
_ETHERNET = 14


@dataclass(frozen=True)
class Segment:
    """A TCP segment with payload."""

    time: float
    """As of `time.monotonic`."""
    to_host: bool
    size: int


class Capture:
    """Records the TCP payload from and to a port of a host; use it in a `with` statement."""

    def __init__(self, host: Host, port: int) -> None:
        self.segments: list[Segment] = []
        self._host = host
        self._port = port
        self._waker, self._wakened = socket.socketpair()
        self._ready = threading.Event()
        self._failure: Optional[OSError] = None
        self._thread = threading.Thread(target=self._run, name="capture", daemon=True)

    def __enter__(self) -> Capture:
        self._thread.start()
        if not self._ready.wait(10) or self._failure is not None:
            raise LabError(f"no capture on {self._host.name}: {self._failure}")
        return self

    def __exit__(self, *_: object) -> None:
        self._waker.close()
        self._thread.join(10)
        self._wakened.close()

    def _run(self) -> None:
        try:
            enter_namespace(self._host.namespace)
            card = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(_ETH_P_ALL))
            card.bind(("eth0", 0))
        except OSError as error:
            self._failure = error
            return
        finally:
            self._ready.set()
        with card:
            while True:
                readable, _, _ = select.select([card, self._wakened], [], [])
                # What is here already belongs to the capture, even if it is to end.
                if card in readable:
                    self._record(card.recv(128), time.monotonic())
                elif self._wakened in readable:
                    return

    def _record(self, frame: bytes, now: float) -> None:
        if len(frame) < _ETHERNET + 40 or struct.unpack_from("!H", frame, 12)[0] != _ETH_P_IP:
            return
        header = (frame[_ETHERNET] & 0x0F) * 4
        (total,) = struct.unpack_from("!H", frame, _ETHERNET + 2)
        if frame[_ETHERNET + 9] != socket.IPPROTO_TCP:
            return
        tcp = _ETHERNET + header
        source, target = struct.unpack_from("!HH", frame, tcp)
        size = total - header - (frame[tcp + 12] >> 4) * 4
        if size > 0 and self._port in (source, target):
            self.segments.append(Segment(now, target == self._port, size))
