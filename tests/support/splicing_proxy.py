"""A proxy that forwards bytes both ways in one thread, and blocks on either.

`nix-daemon --stdio` of Nix up to 2.19 is such a proxy for ordinary accounts. The buffers are the
kernel's, of the default size of Unix sockets.
"""

from __future__ import annotations

import select
import socket
import threading
from contextlib import suppress
from typing import Final, Optional

from nix_remote.errors import ConnectionBroken
from nix_remote.ssh.transport import POLL_SECONDS, Buffer, ChannelTimeout
from nix_remote.text import PeerText

_READ_SIZE: Final = 64 * 1024


class SocketCommand:
    """The server's end of a channel; as `nix_remote.ssh.memory.MemoryCommand`."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection

    def read(self, limit: int) -> bytes:
        try:
            return self._connection.recv(limit)
        except OSError:
            return b""

    def write(self, data: Buffer) -> None:
        try:
            self._connection.sendall(data)
        except OSError:
            raise BrokenPipeError from None

    def exit(self, status: int, stderr: str = "") -> None:
        _end(self._connection)


class SocketChannel:
    """The client's end of a channel: a `nix_remote.ssh.transport.Channel`."""

    def __init__(self, connection: socket.socket) -> None:
        connection.settimeout(POLL_SECONDS)
        self._connection = connection

    def read(self, limit: int) -> bytes:
        try:
            return self._connection.recv(limit)
        except socket.timeout:
            raise ChannelTimeout from None
        except OSError:
            return b""

    def write(self, data: Buffer) -> int:
        try:
            return self._connection.send(data)
        except socket.timeout:
            raise ChannelTimeout from None
        except OSError as error:
            raise ConnectionBroken("proxy", "sending", str(error)) from None

    def close_write(self) -> None:
        self._connection.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        _end(self._connection)

    def stderr_tail(self) -> PeerText:
        return PeerText("")

    def exit_status(self) -> Optional[int]:
        return None


def pair_through_proxy() -> tuple[SocketChannel, SocketCommand]:
    """Both ends of a channel, with a proxy between them that runs in a thread of its own."""
    client, near = socket.socketpair()
    far, server = socket.socketpair()
    threading.Thread(target=_splice, args=(near, far), daemon=True).start()
    return SocketChannel(client), SocketCommand(server)


def _splice(near: socket.socket, far: socket.socket) -> None:
    opposite = {near: far, far: near}
    while True:
        readable, _, _ = select.select([near, far], [], [])
        for source in readable:
            try:
                data = source.recv(_READ_SIZE)
                if data:
                    opposite[source].sendall(data)
            except OSError:
                data = b""
            if not data:
                _end(near)
                _end(far)
                return


def _end(connection: socket.socket) -> None:
    with suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)
    connection.close()
