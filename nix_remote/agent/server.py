"""The socket side of the process that serves: takes clients, answers them, and lets them go.

What a request means, a handler knows. Two threads per client: one carries the
handler, one writes, so that a client which does not read delays no other.

Every client gets an answer. What the handler does not expect, and what keeps this
process from taking a client at all, is answered with `DECLINED`: the client can do
without. A client is told that the server is alive only while its handler runs.
"""

from __future__ import annotations

import errno
import os
import queue
import select
import socket
import threading
import time
import traceback
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, Callable, Final, Iterator, Optional, TypeVar

from nix_remote.agent.listener import ListeningSocket
from nix_remote.agent.protocol import (
    Cancel,
    Inbox,
    OtherVersion,
    ProtocolError,
    Run,
    Stop,
    Tell,
)
from nix_remote.agent.thin_client import connecting, framing
from nix_remote.agent.threads import Threads
from nix_remote.errors import Interrupted

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
_NO_DESCRIPTOR: Final = (errno.EMFILE, errno.ENFILE)


class Declined(Exception):
    """The client has to do it without this process."""


class Gone(Exception):
    """The client does not wait any more."""


class _Unanswered(Exception):
    """The handler of a request has ended, and has said nothing."""


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
        self.greeted = False
        """Whether it has been sent the first frame."""
        self.finished = threading.Event()
        """Set when its connection is closed."""

    @property
    def answered(self) -> bool:
        """Whether the outcome is known, so that only writing it is left."""
        return self._ended or (self._awaited is not None and self._awaited.done())

    def write(self, text: str) -> int:
        """To its standard error."""
        self._put(framing.ERROR_TEXT, _encoded(text))
        return len(text)

    def flush(self) -> None:
        """Nothing is held back."""

    def isatty(self) -> bool:
        """Whether a person looks at its standard error."""
        return self.terminal

    def output(self, text: str) -> None:
        """To its standard output."""
        self._put(framing.OUTPUT_TEXT, _encoded(text))

    def file(self, name: str, text: str) -> None:
        """Has it write a file."""
        self._put(framing.FILE, _encoded(name) + b"\0" + _encoded(text))

    def wait(self, future: Future[T], at_work: Callable[[], bool]) -> T:
        """The outcome, as long as `at_work` says that one will come.

        Raises `Interrupted` if the client cancels, `Gone` if it is gone, and `Declined`
        if there will be no outcome.
        """
        self._awaited = future
        self.arriving = False
        future.add_done_callback(lambda _: self._wake.set())
        while not self._wake.wait(_LOOK_AROUND):
            if not at_work() and not future.done():
                raise Declined("the thread that copies has failed")
        if future.done():
            return future.result()
        if self._cancelled:
            raise Interrupted
        raise Gone

    def _put(self, kind: bytes, payload: bytes) -> None:
        self._frames.put(framing.frame(kind, payload))

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

    def __init__(self, place: ListeningSocket, duties: Duties, threads: Threads) -> None:
        self._place = place
        self._duties = duties
        self._threads = threads
        self._lock = threading.Lock()
        self._connections: dict[Client, socket.socket] = {}
        self._closing = threading.Event()
        self._last_used = time.monotonic()
        self._reserve = _Reserve()

    def start(self) -> None:
        """Takes clients from now on. Raises `CannotStart`."""
        self._threads.start("accept", self._accept_all)

    @property
    def idle_seconds(self) -> float:
        """Since when there has been no client."""
        with self._lock:
            return 0.0 if self._connections else time.monotonic() - self._last_used

    def somebody_arrives(self) -> bool:
        """Whether there is a client that does not wait for an outcome yet."""
        with self._lock:
            return any(client.arriving for client in self._connections)

    @property
    def lost_its_place(self) -> bool:
        """Whether no more clients can come."""
        return self._place.lost

    def resign(self) -> None:
        """Takes no more clients; another process may serve. Those that are there stay."""
        with self._lock:
            if self._closing.is_set():
                return
            self._closing.set()
        self._place.leave()

    def dismiss(self) -> None:
        """Waits until those who are answered have read it; sends the others away."""
        with self._lock:
            connections = dict(self._connections)
        for client in connections:
            if not client.answered:
                client.leave()
        deadline = time.monotonic() + _FAREWELL
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
                self._admit(connection)
            except Exception as error:
                self._duties.log(f"turned a client away: {error!r}")
                _turn_away(connection, str(error))

    def _next_connection(self) -> Optional[socket.socket]:
        """The next client's; None if none came for a moment."""
        try:
            listener = self._place.listener
            listener.settimeout(_LOOK_AROUND)
            connection, _ = listener.accept()
        except socket.timeout:
            if not self._closing.is_set() and self._place.mend():
                self._duties.log("the socket was gone: made it again")
        except OSError as error:
            if error.errno not in _NO_DESCRIPTOR or not self._turn_next_away():
                self._closing.wait(_LOOK_AROUND)  # closed, or a condition that may pass
        else:
            return connection
        return None

    def _turn_next_away(self) -> bool:
        """Answers the next client with the descriptor in reserve; whether that was possible."""
        with self._reserve.lent():
            try:
                connection, _ = self._place.listener.accept()
            except OSError:
                return False
            self._duties.log("turned a client away: no descriptor is free")
            _turn_away(connection, "no descriptor is free")
        return True

    def _admit(self, connection: socket.socket) -> None:
        if connecting.peer(connection)[1] != os.getuid():
            connection.close()
            return
        client = Client()
        with self._lock:
            if len(self._connections) >= _MOST_CLIENTS:
                raise Declined("too many clients")
            self._connections[client] = connection
        try:
            self._threads.start("client", lambda: self._attend(connection, client))
        except BaseException:
            self._forget(client)
            raise

    def _forget(self, client: Client) -> None:
        with self._lock:
            del self._connections[client]
            self._last_used = time.monotonic()
        client.finished.set()

    def _attend(self, connection: socket.socket, client: Client) -> None:
        try:
            self._converse(connection, client)
        except (OSError, ProtocolError) as error:
            self._duties.log(f"a client: {error}")
        except Exception as error:
            self._duties.log(f"turned a client away: {error!r}")
            _turn_away(connection, str(error), greeted=client.greeted)
        finally:
            client.leave()
            connection.close()
            self._forget(client)

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
        connection.sendall(framing.hello())
        client.greeted = True
        if isinstance(message, OtherVersion):
            self._duties.other_version()
            return
        client.arriving = isinstance(message, Run)
        handler = self._threads.start("handler", lambda: self._serve(message, client))
        _write_all(connection, client, inbox, handler)

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
            client.end(framing.DECLINED, _encoded(str(declined)))
        except Gone:
            client.end(framing.DECLINED, b"")
        except Exception as error:
            # By itself the client may fare better; otherwise it shows what is wrong.
            self._duties.log(traceback.format_exc())
            client.end(framing.DECLINED, _encoded(repr(error)))
        else:
            client.end(framing.EXIT, b"%d" % status)


def _write_all(
    connection: socket.socket, client: Client, inbox: Inbox, handler: threading.Thread
) -> None:
    """Writes what there is to be written, and notices when the client goes.

    Raises `_Unanswered` if nothing more will come.
    """
    quiet_since = time.monotonic()
    readable = select.poll()
    readable.register(connection, select.POLLIN)
    while True:
        # Asked first: what a handler that has ended had to say is there to be written.
        at_work = handler.is_alive()
        data = client.next_frames(_LOOK_AROUND)
        if data is None:
            return
        if data:
            connection.sendall(data)
            quiet_since = time.monotonic()
        elif not at_work:
            raise _Unanswered("the handler of the request has failed")
        elif time.monotonic() - quiet_since >= ALIVE_EVERY:
            connection.sendall(framing.frame(framing.ALIVE))
            quiet_since = time.monotonic()
        if not readable.poll(0):
            continue
        said = connection.recv(_READ_SIZE)
        if not said:
            return
        if any(isinstance(message, Cancel) for message in inbox.receive(said)):
            client.cancel()


def _turn_away(connection: socket.socket, why: str, *, greeted: bool = False) -> None:
    """Declines, whatever the client wants, and closes the connection."""
    hello = b"" if greeted else framing.hello()
    with suppress(OSError), connection:
        connection.settimeout(_FAREWELL)
        connection.sendall(hello + framing.frame(framing.DECLINED, _encoded(why)))


class _Reserve:
    """A descriptor that is given up when there is no other one."""

    def __init__(self) -> None:
        self._descriptor: Optional[int] = None
        self._fill()

    def _fill(self) -> None:
        with suppress(OSError):
            self._descriptor = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)

    @contextmanager
    def lent(self) -> Iterator[None]:
        """One descriptor more may be had, in a `with` block."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None
        try:
            yield
        finally:
            self._fill()
