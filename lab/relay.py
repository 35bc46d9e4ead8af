"""A TCP relay on a host that breaks connections at a chosen byte.

It relays to a port of the same host, in the host's network namespace but in
this process: a test controls it and reads its record. Belongs here: faults
that a network may cause in a stream of bytes. Delay and bandwidth are in
`wan.py`.

Newer sshds refuse an address for a while if its connections ended before the
login, and all connections of a relay come from 127.0.0.1. For many early cuts,
relay to an sshd that was started with "PerSourcePenalties no".
"""

from __future__ import annotations

import asyncio
import socket
import struct
import threading
from dataclasses import dataclass, field
from enum import Enum
from typing import Optional

from lab import sshd
from lab.commands import LabError
from lab.host import Host
from lab.network import enter_namespace

_PIECE = 64 * 1024


class Direction(Enum):
    """Which way bytes go."""

    UP = "to the server"
    DOWN = "to the client"


class Action(Enum):
    """The action on a connection at the chosen byte."""

    FIN = "both sides see a clean end"
    RST = "both sides see a reset"
    FREEZE = "nothing moves any more, and both sides stay connected"


@dataclass(frozen=True)
class Fault:
    """Once exactly `after` bytes have gone in `direction`, `action` happens."""

    direction: Direction
    after: int
    action: Action


@dataclass
class Connection:
    """An accepted connection and its progress."""

    fault: Optional[Fault]
    forwarded: dict[Direction, int] = field(default_factory=lambda: dict.fromkeys(Direction, 0))
    """Bytes passed on so far."""
    happened: Optional[Action] = None
    """The action of `fault`, once it has happened."""

    def allowance(self, direction: Direction) -> int:
        """How many bytes may be passed on at once."""
        if self.happened is None and self.fault and self.fault.direction is direction:
            return min(_PIECE, self.fault.after - self.forwarded[direction])
        return _PIECE

    def is_due(self) -> bool:
        """Whether the fault is to happen now."""
        if self.fault is None or self.happened is not None:
            return False
        return self.forwarded[self.fault.direction] == self.fault.after


class Relay:
    """Passes on `port` of a host to its `target_port`; use it in a `with` statement.

    `fault` is what happens to every connection accepted from then on.
    """

    def __init__(self, host: Host, *, port: int = 2300, target_port: int = sshd.PORT) -> None:
        self.host = host
        self.port = port
        self.fault: Optional[Fault] = None
        self.connections: list[Connection] = []
        self._target_port = target_port
        self._loop: asyncio.AbstractEventLoop
        self._ending: asyncio.Event
        self._listening = threading.Event()
        self._failure: Optional[OSError] = None
        self._thread = threading.Thread(target=self._run, name="relay", daemon=True)

    def __enter__(self) -> Relay:
        self._thread.start()
        if not self._listening.wait(10) or self._failure is not None:
            raise LabError(f"no relay on port {self.port} of {self.host.name}: {self._failure}")
        return self

    def __exit__(self, *_: object) -> None:
        """Closes all connections, including frozen ones."""
        self._loop.call_soon_threadsafe(self._ending.set)
        self._thread.join(10)
        if self._thread.is_alive():
            raise LabError("the relay does not end")

    @property
    def ssh_server(self) -> sshd.SshServer:
        """The host's SSH server as it is seen through the relay."""
        return sshd.SshServer(self.host, self.port)

    def _run(self) -> None:
        try:
            enter_namespace(self.host.namespace)
            asyncio.run(self._listen())
        except OSError as error:
            self._failure = error
        finally:
            self._listening.set()

    async def _listen(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._ending = asyncio.Event()
        served: set[asyncio.Task[None]] = set()

        def accepted(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            served.add(asyncio.ensure_future(self._serve(reader, writer)))

        server = await asyncio.start_server(accepted, "", self.port, limit=_PIECE)
        self._listening.set()
        await self._ending.wait()
        server.close()
        for task in served:
            task.cancel()
        await asyncio.gather(*served, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, client: asyncio.StreamWriter) -> None:
        writers = [client]
        try:
            from_server, server = await asyncio.open_connection(
                "127.0.0.1", self._target_port, limit=_PIECE
            )
            writers.append(server)
            connection = Connection(self.fault)
            self.connections.append(connection)
            await self._act_if_due(connection, writers)
            await asyncio.gather(
                self._pass_on(connection, Direction.UP, reader, server, writers),
                self._pass_on(connection, Direction.DOWN, from_server, client, writers),
            )
        except ConnectionError:
            pass  # One side is gone; the other is about to notice.
        finally:
            for writer in writers:
                writer.transport.abort()

    async def _pass_on(
        self,
        connection: Connection,
        direction: Direction,
        source: asyncio.StreamReader,
        sink: asyncio.StreamWriter,
        writers: list[asyncio.StreamWriter],
    ) -> None:
        sink.transport.set_write_buffer_limits(0)  # `drain` waits for the last byte.
        while piece := await source.read(connection.allowance(direction)):
            if connection.happened is Action.FREEZE:
                await self._ending.wait()
            if connection.happened is Action.FIN:
                continue  # Read what still arrives: closing with unread data would send a reset.
            sink.write(piece)
            await sink.drain()
            connection.forwarded[direction] += len(piece)
            await self._act_if_due(connection, writers)
        if connection.happened is not Action.FIN:
            sink.write_eof()

    async def _act_if_due(
        self, connection: Connection, writers: list[asyncio.StreamWriter]
    ) -> None:
        if not connection.is_due() or connection.fault is None:
            return
        connection.happened = connection.fault.action
        if connection.happened is Action.FIN:
            for writer in writers:
                writer.write_eof()
        elif connection.happened is Action.RST:
            for writer in writers:
                opened = writer.get_extra_info("socket")
                opened.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                writer.transport.abort()
        elif connection.happened is Action.FREEZE:
            await self._ending.wait()
