"""The messages of PROTOCOL.md on the client's side: constants, frames, and a stream of frames.

Not here: what a client does with an answer (`__init__.py`).
"""

from __future__ import annotations

import _socket

TYPE_CHECKING = False  # importing `typing` would take longer than the rest
if TYPE_CHECKING:
    from typing import Final

PROTOCOL: Final = 1
VERSION: Final = "0.1.0"
"""The version of nix_remote. Agents and clients of different versions do not work together."""

HELLO: Final = b"H"
RUN: Final = b"R"
CANCEL: Final = b"C"
STATUS: Final = b"T"
STOP: Final = b"S"
DECLINED: Final = b"D"
ERROR_TEXT: Final = b"E"
OUTPUT_TEXT: Final = b"O"
FILE: Final = b"F"
ALIVE: Final = b"A"
EXIT: Final = b"X"

LARGEST_FRAME: Final = 16 * 1024 * 1024
SILENCE: Final = 30.0
"""Seconds without any frame after which a client abandons the agent. The agent sends `ALIVE` more
often than that."""


class Unusable(Exception):
    """No agent can be used; the work can be done without one."""


class Lost(Exception):
    """The serving process ended without an answer. Another one can take the request."""


def frame(kind: bytes, payload: bytes = b"") -> bytes:
    """A message: its kind, its length, its content."""
    return kind + len(payload).to_bytes(4, "big") + payload


def hello() -> bytes:
    """The first message of both sides."""
    return frame(HELLO, b"nix-remote %d %s" % (PROTOCOL, VERSION.encode()))


class Conversation:
    """Sends bytes to a connection and receives frames from it."""

    def __init__(self, connection: _socket.socket) -> None:
        self._connection = connection
        self._pending = b""

    def send(self, data: bytes) -> None:
        """Sends all of it. Raises `Lost` and `Unusable`."""
        try:
            self._connection.sendall(data)
        except _socket.timeout:
            raise Unusable("the agent does not read") from None
        except OSError:
            raise Lost from None

    def receive(self) -> tuple[bytes, bytes]:
        """The next frame: kind and content. Raises `Lost` and `Unusable`."""
        head = self._take(5)
        length = int.from_bytes(head[1:], "big")
        if length > LARGEST_FRAME:
            raise Unusable("the agent sent an invalid frame")
        return head[:1], self._take(length)

    def check_greeting(self) -> None:
        """Receives the first frame. Raises `Unusable` if the agent has another version."""
        kind, content = self.receive()
        if frame(kind, content) != hello():
            raise Unusable(f"the agent has another version: {content.decode(errors='replace')}")

    def _take(self, count: int) -> bytes:
        while len(self._pending) < count:
            try:
                data = self._connection.recv(65536)
            except _socket.timeout:
                raise Unusable(f"no message from the agent for {SILENCE:g} s") from None
            except OSError:
                raise Lost from None
            if not data:
                raise Lost
            self._pending += data
        taken, self._pending = self._pending[:count], self._pending[count:]
        return taken
