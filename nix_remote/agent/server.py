"""The socket side of whoever serves: takes clients, answers them, and lets them go.

What a request means, a handler knows. Two threads per client: one carries the
handler, one writes, so that a client which does not read keeps nobody waiting.
"""

from __future__ import annotations

import os
import queue
import select
import socket
import threading
import time
import traceback
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Callable, Final, Optional, TypeVar

from nix_remote.agent import client as wire
from nix_remote.agent.place import Place
from nix_remote.agent.protocol import (
    Cancel,
    Inbox,
    OtherVersion,
    ProtocolError,
    Run,
    Stop,
    Tell,
)
from nix_remote.errors import CRASHED, Interrupted

T = TypeVar("T")

ALIVE_EVERY: Final = 5.0
"""Seconds between signs of life to a client that waits."""
_LOOK_AROUND: Final = 0.5
_GREETING: Final = 10.0
"""Seconds for a client to say what it wants."""
_UNREAD: Final = 30.0
"""Seconds for a client to read what it is sent."""
_MOST_CLIENTS: Final = 512
_FAREWELL: Final = 2.0
_READ_SIZE: Final = 64 * 1024


class Declined(Exception):
    """Whoever serves cannot do it; the client can."""


class Gone(Exception):
    """The client does not wait any more."""


class Client:
    """A client, as the handler of its request sees it. Also a text stream: its standard error."""

    def __init__(self) -> None:
        self.terminal = False
        """Whether a person looks at its standard error."""
        self._frames: queue.SimpleQueue[bytes] = queue.SimpleQueue()
        self._wake = threading.Event()
        self._cancelled = False
        self._ended = False
        self._awaited: Optional[Future[Any]] = None
        self.arriving = True
        """Whether it may still get in line for a copy."""

    @property
    def answered(self) -> bool:
        """Whether the outcome is known, so that only writing it is left."""
        return self._ended or (self._awaited is not None and self._awaited.done())

    def write(self, text: str) -> int:
        """To its standard error."""
        self._put(wire.ERROR_TEXT, _encoded(text))
        return len(text)

    def flush(self) -> None:
        """Nothing is held back."""

    def isatty(self) -> bool:
        """Whether a person looks at its standard error."""
        return self.terminal

    def output(self, text: str) -> None:
        """To its standard output."""
        self._put(wire.OUTPUT_TEXT, _encoded(text))

    def file(self, name: str, text: str) -> None:
        """Has it write a file."""
        self._put(wire.FILE, _encoded(name) + b"\0" + _encoded(text))

    def wait(self, future: Future[T]) -> T:
        """The outcome. Raises `Interrupted` if the client cancels, `Gone` if it is gone."""
        self._awaited = future
        self.arriving = False
        future.add_done_callback(lambda _: self._wake.set())
        self._wake.wait()
        if future.done():
            return future.result()
        if self._cancelled:
            raise Interrupted
        raise Gone

    def _put(self, kind: bytes, payload: bytes) -> None:
        self._frames.put(wire.frame(kind, payload))

    def end(self, kind: bytes, payload: bytes) -> None:
        """The last frame."""
        self._ended = True
        self.arriving = False
        self._put(kind, payload)
        self._frames.put(b"")

    def cancel(self) -> None:
        """It wants to be told that it was interrupted."""
        self._cancelled = True
        self._wake.set()

    def leave(self) -> None:
        """It is gone, or sent away."""
        self._wake.set()

    def next_frames(self, seconds: float) -> Optional[bytes]:
        """What is to be written: nothing after that time, None when there is no more."""
        try:
            data = self._frames.get(timeout=seconds)
        except queue.Empty:
            return b""
        while data and not self._frames.empty():
            more = self._frames.get()
            if not more:
                self._frames.put(b"")
                break
            data += more
        return data or None


def _encoded(text: str) -> bytes:
    return text.encode(errors="surrogateescape")


@dataclass(frozen=True)
class Duties:
    """What a server does when it is asked."""

    handle: Callable[[Run, Client], int]
    """Carries a request out and returns its exit status. May raise `Declined` and `Gone`."""
    tell: Callable[[], str]
    stop: Callable[[], None]
    """Returns when everything is done."""
    other_version: Callable[[], None]
    log: Callable[[str], None]


class Server:
    """Takes clients from a socket until it is closed."""

    def __init__(self, place: Place, duties: Duties) -> None:
        self._place = place
        self._duties = duties
        self._lock = threading.Lock()
        self._connections: dict[threading.Thread, tuple[socket.socket, Client]] = {}
        self._closing = threading.Event()
        self._last_used = time.monotonic()
        self._accepting = threading.Thread(
            target=self._accept_all, name="nix-remote-accept", daemon=True
        )

    def start(self) -> None:
        """Takes clients from now on."""
        self._accepting.start()

    @property
    def idle_seconds(self) -> float:
        """Since when there has been no client."""
        with self._lock:
            return 0.0 if self._connections else time.monotonic() - self._last_used

    def somebody_arrives(self) -> bool:
        """Whether there is a client that does not wait for an outcome yet."""
        with self._lock:
            return any(client.arriving for _, client in self._connections.values())

    @property
    def lost_its_place(self) -> bool:
        """Whether no more clients can come."""
        return self._place.lost

    def resign(self) -> None:
        """Takes no more clients; somebody else may serve. Those that are there stay."""
        if self._closing.is_set():
            return
        self._closing.set()
        self._place.leave()

    def dismiss(self) -> None:
        """Waits until those who are answered have read it; sends the others away."""
        with self._lock:
            connections = dict(self._connections)
        for _, client in connections.values():
            if not client.answered:
                client.leave()
        deadline = time.monotonic() + _FAREWELL
        for thread, (connection, client) in connections.items():
            if client.answered:
                thread.join(max(deadline - time.monotonic(), 0))
            else:
                with suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)

    def _accept_all(self) -> None:
        while not self._closing.is_set():
            try:
                listener = self._place.listener
                listener.settimeout(_LOOK_AROUND)
                connection, _ = listener.accept()
            except socket.timeout:
                if not self._closing.is_set() and self._place.mend():
                    self._duties.log("the socket was gone: made it again")
                continue
            except OSError:
                # Closed, or out of descriptors for the moment.
                self._closing.wait(_LOOK_AROUND)
                continue
            if wire.peer(connection)[1] != os.getuid():
                connection.close()
                continue
            client = Client()
            thread = threading.Thread(
                target=self._attend, args=(connection, client), name="nix-remote-client"
            )
            thread.daemon = True
            with self._lock:
                if len(self._connections) >= _MOST_CLIENTS:
                    connection.close()
                    continue
                self._connections[thread] = (connection, client)
            thread.start()

    def _attend(self, connection: socket.socket, client: Client) -> None:
        try:
            self._converse(connection, client)
        except (OSError, ProtocolError) as error:
            self._duties.log(f"a client: {error}")
        finally:
            client.leave()
            connection.close()
            with self._lock:
                del self._connections[threading.current_thread()]
                self._last_used = time.monotonic()

    def _converse(self, connection: socket.socket, client: Client) -> None:
        inbox = Inbox()
        connection.settimeout(_GREETING)
        messages = inbox.receive(b"")
        while not messages:
            data = connection.recv(_READ_SIZE)
            if not data:
                return
            messages = inbox.receive(data)
        message = messages[0]
        connection.settimeout(_UNREAD)
        connection.sendall(wire.hello())
        if isinstance(message, OtherVersion):
            self._duties.other_version()
            return
        client.arriving = isinstance(message, Run)
        worker = threading.Thread(target=self._serve, args=(message, client), daemon=True)
        worker.start()
        _write_all(connection, client, inbox)

    def _serve(self, message: object, client: Client) -> None:
        """Carries out one message; whatever happens, the client gets its last frame."""
        try:
            if isinstance(message, Run):
                client.terminal = message.terminal
                status = self._duties.handle(message, client)
            elif isinstance(message, Tell):
                client.output(self._duties.tell())
                status = 0
            elif isinstance(message, Stop):
                self._duties.stop()
                status = 0
            else:
                raise Declined("not a request")
        except Declined as declined:
            self._duties.log(f"declined a client: {declined}")
            client.end(wire.DECLINED, _encoded(str(declined)))
        except Gone:
            client.end(wire.DECLINED, b"")
        except Exception:
            text = traceback.format_exc()
            self._duties.log(text)
            client.write(f"{text}nix-remote: this is a defect; please report the lines above\n")
            client.end(wire.EXIT, b"%d" % CRASHED)
        else:
            client.end(wire.EXIT, b"%d" % status)


def _write_all(connection: socket.socket, client: Client, inbox: Inbox) -> None:
    """Writes what there is to be written, and notices when the client goes."""
    quiet_since = time.monotonic()
    readable = select.poll()
    readable.register(connection, select.POLLIN)
    while True:
        data = client.next_frames(_LOOK_AROUND)
        if data is None:
            return
        if data:
            connection.sendall(data)
            quiet_since = time.monotonic()
        elif time.monotonic() - quiet_since >= ALIVE_EVERY:
            connection.sendall(wire.frame(wire.ALIVE))
            quiet_since = time.monotonic()
        if not readable.poll(0):
            continue
        said = connection.recv(_READ_SIZE)
        if not said:
            return
        if any(isinstance(message, Cancel) for message in inbox.receive(said)):
            client.cancel()
