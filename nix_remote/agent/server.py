"""Accepts clients on a socket, reads their messages, and writes the answers.

What a request means is up to `Handlers`. Each client has two threads: one runs the
handler, one writes, so that a client which does not read delays no other.

Every client gets an answer. An unexpected failure of the handler, and everything that keeps this
process from accepting a client, is answered with `DECLINED`: the client can work alone. `ALIVE` is
sent only while the handler runs.
"""

from __future__ import annotations

import errno
import os
import select
import socket
import threading
import time
import traceback
from contextlib import suppress
from dataclasses import dataclass
from typing import Callable, Final, Optional

from nix_remote.agent.client_connection import Client, Declined, Gone, encoded
from nix_remote.agent.listener import ListeningSocket
from nix_remote.agent.protocol import (
    Cancel,
    Inbox,
    OtherVersion,
    ProtocolError,
    QueryStatus,
    Run,
    Stop,
)
from nix_remote.agent.spare_descriptor import SpareDescriptor
from nix_remote.agent.thin_client import connecting, framing
from nix_remote.agent.threads import Threads

ALIVE_EVERY: Final = 5.0
"""Seconds between `ALIVE` frames to a client that waits."""
_POLL_INTERVAL: Final = 0.5
_REQUEST_TIMEOUT: Final = 10.0
"""Seconds for a client to send its request."""
_WRITE_TIMEOUT: Final = 30.0
"""Seconds for a client to read what it is sent."""
_MOST_CLIENTS: Final = 512
_CLOSE_TIMEOUT: Final = 2.0
"""Seconds for clients to read the last frame when the process ends."""
_READ_SIZE: Final = 64 * 1024
_NO_DESCRIPTOR: Final = (errno.EMFILE, errno.ENFILE)


class _Unanswered(Exception):
    """The handler of a request has ended without an answer."""


@dataclass(frozen=True)
class Handlers:
    """What a server calls for each kind of message."""

    run: Callable[[Run, Client], int]
    """Carries a request out and returns its exit status. May raise `Declined` and `Gone`."""
    status: Callable[[], str]
    stop: Callable[[], None]
    """Returns when everything is done."""
    other_version: Callable[[], None]
    log: Callable[[str], None]


class Server:
    """Accepts clients on a socket until it is closed."""

    def __init__(self, socket_: ListeningSocket, handlers: Handlers, threads: Threads) -> None:
        self._socket = socket_
        self._handlers = handlers
        self._threads = threads
        self._lock = threading.Lock()
        self._connections: dict[Client, socket.socket] = {}
        self._closing = threading.Event()
        self._last_used = time.monotonic()
        self._spare = SpareDescriptor()

    def start(self) -> None:
        """Accepts clients from now on. Raises `CannotStart`."""
        self._threads.start("accept", self._accept_all)

    @property
    def idle_seconds(self) -> float:
        """How long there has been no client."""
        with self._lock:
            return 0.0 if self._connections else time.monotonic() - self._last_used

    def clients_connecting(self) -> bool:
        """Whether a client is connected that has not submitted a job yet."""
        with self._lock:
            return any(client.connecting for client in self._connections)

    @property
    def socket_lost(self) -> bool:
        """Whether clients can no longer reach the socket."""
        return self._socket.lost

    def stop_accepting(self) -> None:
        """Accepts no more clients; another process may serve. Connected clients stay."""
        with self._lock:
            if self._closing.is_set():
                return
            self._closing.set()
        self._socket.close()

    def close_connections(self) -> None:
        """Waits until the answered clients have read the answer; disconnects the others."""
        with self._lock:
            connections = dict(self._connections)
        for client in connections:
            if not client.answered:
                client.disconnect()
        deadline = time.monotonic() + _CLOSE_TIMEOUT
        for client, connection in connections.items():
            if client.answered:
                client.finished.wait(max(deadline - time.monotonic(), 0))
            else:
                with suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)

    def _accept_all(self) -> None:
        while not self._closing.is_set():
            connection = self._next_connection()
            if connection is None:
                continue
            try:
                self._start_client(connection)
            except Exception as error:
                self._handlers.log(f"declined a client: {error!r}")
                _decline(connection, str(error))

    def _next_connection(self) -> Optional[socket.socket]:
        """The next client's connection; None if none came for a moment."""
        try:
            listener = self._socket.listener
            listener.settimeout(_POLL_INTERVAL)
            connection, _ = listener.accept()
        except socket.timeout:
            if not self._closing.is_set() and self._socket.restore():
                self._handlers.log("the socket was removed: made it again")
        except OSError as error:
            if error.errno not in _NO_DESCRIPTOR or not self._decline_next():
                self._closing.wait(_POLL_INTERVAL)  # closed, or a condition that may pass
        else:
            return connection
        return None

    def _decline_next(self) -> bool:
        """Declines the next client with the spare descriptor; returns whether that was possible."""
        with self._spare.released():
            try:
                connection, _ = self._socket.listener.accept()
            except OSError:
                return False
            self._handlers.log("declined a client: no descriptor is free")
            _decline(connection, "no descriptor is free")
        return True

    def _start_client(self, connection: socket.socket) -> None:
        if connecting.peer(connection)[1] != os.getuid():
            connection.close()
            return
        client = Client()
        with self._lock:
            if len(self._connections) >= _MOST_CLIENTS:
                raise Declined("too many clients")
            self._connections[client] = connection
        try:
            self._threads.start("client", lambda: self._serve_client(connection, client))
        except BaseException:
            self._forget(client)
            raise

    def _forget(self, client: Client) -> None:
        with self._lock:
            del self._connections[client]
            self._last_used = time.monotonic()
        client.finished.set()

    def _serve_client(self, connection: socket.socket, client: Client) -> None:
        try:
            self._converse(connection, client)
        except (OSError, ProtocolError) as error:
            self._handlers.log(f"a client: {error}")
        except Exception as error:
            self._handlers.log(f"declined a client: {error!r}")
            _decline(connection, str(error), greeted=client.greeted)
        finally:
            client.disconnect()
            connection.close()
            self._forget(client)

    def _converse(self, connection: socket.socket, client: Client) -> None:
        inbox = Inbox()
        connection.settimeout(_REQUEST_TIMEOUT)
        messages = inbox.receive(b"")
        while not messages:
            data = connection.recv(_READ_SIZE)
            if not data:
                return
            messages = inbox.receive(data)
        message = messages[0]
        connection.settimeout(_WRITE_TIMEOUT)
        connection.sendall(framing.hello())
        client.greeted = True
        if isinstance(message, OtherVersion):
            self._handlers.other_version()
            return
        client.connecting = isinstance(message, Run)
        handler = self._threads.start("handler", lambda: self._handle(message, client))
        _write_all(connection, client, inbox, handler)

    def _handle(self, message: object, client: Client) -> None:
        """Carries out one message; the client gets its last frame in every case."""
        try:
            if isinstance(message, Run):
                client.terminal = message.terminal
                status = self._handlers.run(message, client)
            elif isinstance(message, QueryStatus):
                client.output(self._handlers.status())
                status = 0
            elif isinstance(message, Stop):
                self._handlers.stop()
                status = 0
            else:
                raise Declined("not a request")
        except Declined as declined:
            self._handlers.log(f"declined a client: {declined}")
            client.end(framing.DECLINED, encoded(str(declined)))
        except Gone:
            client.end(framing.DECLINED, b"")
        except Exception as error:
            # Alone the client may succeed; if it does not, it shows the cause.
            self._handlers.log(traceback.format_exc())
            client.end(framing.DECLINED, encoded(repr(error)))
        else:
            client.end(framing.EXIT, b"%d" % status)


def _write_all(
    connection: socket.socket, client: Client, inbox: Inbox, handler: threading.Thread
) -> None:
    """Writes the client's frames until the last one, or until the client closes its connection.

    Raises `_Unanswered` if the handler has ended without a last frame.
    """
    quiet_since = time.monotonic()
    readable = select.poll()
    readable.register(connection, select.POLLIN)
    while True:
        # Checked before the frames: those of a handler that has ended are all there.
        is_running = handler.is_alive()
        data = client.next_frames(_POLL_INTERVAL)
        if data is None:
            return
        if data:
            connection.sendall(data)
            quiet_since = time.monotonic()
        elif not is_running:
            raise _Unanswered("the handler of the request has failed")
        elif time.monotonic() - quiet_since >= ALIVE_EVERY:
            connection.sendall(framing.frame(framing.ALIVE))
            quiet_since = time.monotonic()
        if not readable.poll(0):
            continue
        received = connection.recv(_READ_SIZE)
        if not received:
            return
        if any(isinstance(message, Cancel) for message in inbox.receive(received)):
            client.cancel()


def _decline(connection: socket.socket, why: str, *, greeted: bool = False) -> None:
    """Declines any request, and closes the connection."""
    hello = b"" if greeted else framing.hello()
    with suppress(OSError), connection:
        connection.settimeout(_CLOSE_TIMEOUT)
        connection.sendall(hello + framing.frame(framing.DECLINED, encoded(why)))
