"""An in-memory channel with both ends in one process, for tests and experiments.

`MemoryChannel` is the client's end and implements `nix_remote.ssh.transport.Channel`.
`MemoryCommand` is the command on the server: input, output, standard error, exit status.
"""

from __future__ import annotations

import threading
from typing import Final, Optional

from nix_remote.errors import ConnectionBroken
from nix_remote.ssh.transport import POLL_SECONDS, Buffer, ChannelTimeout
from nix_remote.text import PeerText

_CAPACITY: Final = 64 * 1024


class _Pipe:
    """Bytes in transit in one direction, at most `capacity` at a time."""

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._data = bytearray()
        self._closed = False
        self._changed = threading.Condition()

    def write(self, data: Buffer) -> int:
        with self._changed:
            if not self._changed.wait_for(self._writable, POLL_SECONDS):
                raise ChannelTimeout
            if self._closed:
                raise BrokenPipeError
            accepted = min(len(data), self._capacity - len(self._data))
            self._data += data[:accepted]
            self._changed.notify_all()
            return accepted

    def _writable(self) -> bool:
        return self._closed or len(self._data) < self._capacity

    def read(self, limit: int) -> bytes:
        with self._changed:
            if not self._changed.wait_for(lambda: self._closed or self._data, POLL_SECONDS):
                raise ChannelTimeout
            taken = bytes(self._data[:limit])
            del self._data[:limit]
            self._changed.notify_all()
            return taken

    def close(self) -> None:
        with self._changed:
            self._closed = True
            self._changed.notify_all()


class MemoryCommand:
    """The server's end."""

    def __init__(self, incoming: _Pipe, outgoing: _Pipe) -> None:
        self._incoming = incoming
        self._outgoing = outgoing
        self.stderr = ""
        self.exit_status: Optional[int] = None

    def read(self, limit: int) -> bytes:
        """See `Channel.read`; empty when the client has closed the channel."""
        return self._incoming.read(limit)

    def write(self, data: Buffer) -> None:
        """Writes all of `data`; waits while the client does not read."""
        rest = memoryview(bytes(data))
        while rest:
            try:
                rest = rest[self._outgoing.write(rest) :]
            except ChannelTimeout:
                continue

    def exit(self, status: int, stderr: str = "") -> None:
        """Ends the command."""
        self.exit_status = status
        self.stderr += stderr
        self._outgoing.close()
        self._incoming.close()


class MemoryChannel:
    """The client's end."""

    def __init__(self, outgoing: _Pipe, incoming: _Pipe, command: MemoryCommand) -> None:
        self._outgoing = outgoing
        self._incoming = incoming
        self._command = command

    def read(self, limit: int) -> bytes:
        """See `Channel`."""
        return self._incoming.read(limit)

    def write(self, data: Buffer) -> int:
        """See `Channel`."""
        try:
            return self._outgoing.write(data)
        except BrokenPipeError:
            raise ConnectionBroken("memory", "sending", "the command has ended") from None

    def close_write(self) -> None:
        """See `Channel`."""
        self._outgoing.close()

    def close(self) -> None:
        """See `Channel`."""
        self._outgoing.close()
        self._incoming.close()

    def stderr_tail(self) -> PeerText:
        """See `Channel`."""
        return PeerText(self._command.stderr)

    def exit_status(self) -> Optional[int]:
        """See `Channel`."""
        return self._command.exit_status


def pair(capacity: int = _CAPACITY) -> tuple[MemoryChannel, MemoryCommand]:
    """The ends of a new channel that holds up to `capacity` bytes in each direction."""
    to_server, to_client = _Pipe(capacity), _Pipe(capacity)
    command = MemoryCommand(to_server, to_client)
    return MemoryChannel(to_server, to_client, command), command
