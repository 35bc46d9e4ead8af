"""A session with Nix on the server: written from one thread, read by another.

Requests are written without waiting for replies; a reader thread reads the
replies and completes a future for each. Both directions must run at the same
time: a server stops reading if its replies are not read. The number and the
size of unanswered requests are bounded (`nix_remote.protocol.flow_control`);
at the bound, `submit` waits for replies. When the session ends, every
unanswered request fails with the cause.
"""

from __future__ import annotations

import concurrent.futures
import threading
import time
from collections import deque
from concurrent.futures import Future
from typing import Any, Callable, Deque, Final, Generic, Optional, TypeVar

from nix_remote import events
from nix_remote.errors import (
    ConnectionBroken,
    NixNotFound,
    NixRemoteError,
    ProtocolViolation,
    ServerEndedSession,
    ServerTooOld,
    TransferStalled,
    UnexpectedOutput,
)
from nix_remote.protocol.conversation import (
    Conversation,
    Event,
    Greeted,
    Logged,
    Refused,
    Replied,
    Request,
    Server,
)
from nix_remote.protocol.versions import UnsupportedVersion
from nix_remote.server.nix_errors import store_error
from nix_remote.server.wait_notices import WaitNotices
from nix_remote.ssh.transport import POLL_SECONDS, Buffer, Channel, ChannelTimeout
from nix_remote.text import PeerText
from nix_remote.wire.codec import WireError

T = TypeVar("T")

_READ_SIZE: Final = 64 * 1024
_WRITE_SIZE: Final = 256 * 1024
_SHOWN: Final = 200
_COMMAND_NOT_FOUND: Final = 127


class RequestRefused(Exception):
    """The server rejected one request; the session goes on."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class Session(Generic[Server]):
    """An open session. Use it from one thread; close it from any."""

    def __init__(
        self,
        channel: Channel,
        conversation: Conversation[Server],
        *,
        alias: str,
        command: str,
        stall_timeout: float,
        listener: events.Listener,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._channel = channel
        self._conversation = conversation
        self._alias = alias
        self._command = command
        self._stall_timeout = stall_timeout
        self._listener = listener
        self._clock = clock
        self._futures: Deque[Future[Any]] = deque()
        self._greeted: Future[Server] = Future()
        self._failure: Optional[NixRemoteError] = None
        self._closing = False
        self._first_bytes = b""
        self._outgoing = bytearray(conversation.greeting())
        self._last_movement = clock()
        self._reader = threading.Thread(
            target=self._read_all, name="nix-remote-reader", daemon=True
        )
        self._reader.start()

    def submit(
        self, request: Request[T], *, make_room: Optional[Callable[[], object]] = None
    ) -> Future[T]:
        """Queues a request after everything submitted or written before.

        While the bound of unanswered requests is reached, calls `make_room`, which waits for
        replies; by default for a quarter of them. Raises the error that ended the session, and
        errors of `make_room`.
        """
        encoded = request.encode()
        while not self._conversation.admits(request, len(encoded)):
            (make_room or self._wait_for_some)()
        future: Future[T] = Future()
        # First the future: the reply may arrive before this thread continues.
        self._futures.append(future)
        self._conversation.sent(request, len(encoded))
        self.write(encoded)
        return future

    def _wait_for_some(self) -> None:
        # Not only the oldest: requests that are sent one by one use far more than their own size
        # in the buffers on the way.
        try:
            awaited = self._futures[len(self._futures) // 4]
        except IndexError:  # the reader thread has just completed them
            return
        self._wait_until_done(awaited, "the server to answer earlier requests")

    def write(self, data: Buffer) -> None:
        """Queues bytes that belong to the request submitted last."""
        if len(data) >= _WRITE_SIZE:
            # Not buffered: that would copy all data once more.
            self.flush()
            self._send(memoryview(data))
            return
        self._outgoing += data
        if len(self._outgoing) >= _WRITE_SIZE:
            self.flush()

    def flush(self) -> None:
        """Sends everything that is queued. Raises the error that ended the session, if any."""
        pending, self._outgoing = self._outgoing, bytearray()
        self._send(memoryview(pending))

    def _send(self, pending: memoryview) -> None:
        notices = WaitNotices(self._listener, "the server to take more data")
        while pending:
            if self._failure is not None:
                raise self._failure
            try:
                pending = pending[self._channel.write(pending) :]
            except ChannelTimeout:
                self._check_movement("the server to take more data", notices)
            except ConnectionBroken:
                # The reader thread knows the cause.
                self._reader.join(2)
                raise (self._failure or self._broken("the stream closed")) from None
            else:
                self._last_movement = self._clock()

    def greeting(self) -> Server:
        """Waits for the server's greeting, and returns it."""
        return self.wait(self._greeted, "the server's greeting")

    def wait(self, future: Future[T], waiting_for: str, *, at_most: Optional[float] = None) -> T:
        """The result of a request; sends what is queued first.

        Raises `RequestRefused` if the server rejects the request, the error that ended the
        session if there is no reply, and `TimeoutError` after `at_most` seconds; the request is
        not cancelled then.
        """
        self._wait_until_done(future, waiting_for, at_most=at_most)
        return future.result()

    def _wait_until_done(
        self, future: Future[Any], waiting_for: str, *, at_most: Optional[float] = None
    ) -> None:
        self.flush()
        notices = WaitNotices(self._listener, waiting_for)
        deadline = None if at_most is None else self._clock() + at_most
        while not future.done():
            if self._failure is not None:
                raise self._failure
            if deadline is not None and self._clock() >= deadline:
                raise TimeoutError(f"no answer within {at_most:g} s")
            concurrent.futures.wait([future], timeout=POLL_SECONDS)
            self._check_movement(waiting_for, notices)

    @property
    def ended(self) -> bool:
        """Whether the session has ended, so that it takes no more requests."""
        return self._failure is not None

    def close(self) -> None:
        """Ends the session. The server drops its temporary roots."""
        self._closing = True
        self._channel.close()
        self._reader.join(2)

    def _check_movement(self, waiting_for: str, notices: WaitNotices) -> None:
        """Reports a wait without progress; raises `TransferStalled` after the stall timeout."""
        idle = self._clock() - self._last_movement
        if idle >= self._stall_timeout:
            raise TransferStalled(self._alias, waiting_for, self._stall_timeout)
        notices.after(idle)

    def _read_all(self) -> None:
        try:
            while True:
                try:
                    data = self._channel.read(_READ_SIZE)
                except ChannelTimeout:
                    if self._closing:
                        return
                    continue
                if not data:
                    self._fail(self._ended())
                    return
                if self._conversation.server is None:
                    self._first_bytes = (self._first_bytes + data)[:_SHOWN]
                for event in self._conversation.receive(data):
                    # Only replies count as progress: a server could send log lines without end.
                    if not isinstance(event, Logged):
                        self._last_movement = self._clock()
                    self._handle(event)
        except ConnectionBroken as error:
            self._fail(self._broken(error.why))
        except NixRemoteError as error:
            self._fail(error)
        except WireError as error:
            self._fail(self._violated(error))
            # Nothing that follows can be trusted.
            self._channel.close()
        except Exception as error:
            # This thread no longer reads, so unanswered requests must fail.
            failure = ProtocolViolation(self._alias, repr(error))
            failure.__cause__ = error
            self._fail(failure)
            self._channel.close()

    def _handle(self, event: Event[Server]) -> None:
        if isinstance(event, Greeted):
            self._greeted.set_result(event.server)
        elif isinstance(event, Replied):
            self._futures.popleft().set_result(event.value)
        elif isinstance(event, Refused):
            self._futures.popleft().set_exception(RequestRefused(event.message.shown()))
        else:
            self._listener(events.ServerSaid(event.text))

    def _fail(self, error: NixRemoteError) -> None:
        self._failure = error
        if not self._greeted.done():
            self._greeted.set_exception(error)
        while self._futures:
            self._futures.popleft().set_exception(error)

    def _doing(self) -> str:
        return "copying" if self._conversation.server is not None else "the session was opened"

    def _broken(self, why: str) -> NixRemoteError:
        return ConnectionBroken(self._alias, self._doing(), why)

    def _ended(self) -> NixRemoteError:
        status = self._channel.exit_status()
        stderr = self._channel.stderr_tail().shown()
        cause = store_error(stderr, self._alias)
        if cause is not None:
            return cause
        if self._conversation.server is not None:
            return ServerEndedSession(self._alias, self._doing(), stderr)
        if self._first_bytes and not self._magic_matches():
            return UnexpectedOutput(self._alias, self._shown_first_bytes())
        # All shells but csh exit with this status.
        if status == _COMMAND_NOT_FOUND or stderr.endswith(": Command not found."):
            return NixNotFound(self._alias, self._command, stderr)
        return ServerEndedSession(self._alias, self._doing(), stderr, status)

    def _violated(self, error: WireError) -> NixRemoteError:
        if isinstance(error, UnsupportedVersion):
            return ServerTooOld(self._alias, str(error), "Nix 2.4")
        if self._conversation.server is None and not self._magic_matches():
            return UnexpectedOutput(self._alias, self._shown_first_bytes())
        return ProtocolViolation(self._alias, str(error))

    def _magic_matches(self) -> bool:
        return self._first_bytes.startswith(self._conversation.server_magic)

    def _shown_first_bytes(self) -> str:
        return repr(PeerText(self._first_bytes))
