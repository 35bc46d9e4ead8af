"""The common part of both protocols: requests are sent, and answered in the same order.

Requests may be sent while earlier ones are unanswered, as many as `admits` allows. Replies must
be read while requests are written; otherwise both sides wait for each other.

A `WireError` is final: nothing that follows on that stream can be trusted.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import (
    Deque,
    Final,
    Generic,
    Iterator,
    NoReturn,
    Optional,
    Sequence,
    TypeVar,
    Union,
)

from nix_remote.protocol.flow_control import FlowControl
from nix_remote.text import PeerText
from nix_remote.wire.codec import Decoder, Feed, WireError, at_most, encode_number

Reply = TypeVar("Reply", covariant=True)
Server = TypeVar("Server")


RESERVE: Final = 16 * 1024 * 1024
"""Bytes by which all replies of a session together may exceed their allowances."""


class Request(Generic[Reply]):
    """One operation: the encoding of the request, and the decoder of its reply."""

    operation: int
    reply_size: Optional[int] = None
    """The largest reply in bytes; None if it has no bound."""

    @property
    def content_size(self) -> int:
        """Bytes that follow the request: the NAR of a path."""
        return 0

    def encode(self) -> bytes:
        """The complete request, operation number included."""
        return encode_number(self.operation) + self.fields()

    def fields(self) -> bytes:
        """The bytes after the operation number."""
        raise NotImplementedError

    def read_reply(self) -> Decoder[Reply]:
        """Reads the reply to this request."""
        raise NotImplementedError

    def reply_allowance(self) -> int:
        """Expected size of the reply in bytes.

        A longer reply uses the session's reserve: see `RESERVE`. A request that keeps nothing of
        its reply may allow any size.
        """
        return 64


@dataclass(frozen=True)
class Greeted(Generic[Server]):
    """The session is open."""

    server: Server


@dataclass(frozen=True)
class Replied:
    """The oldest unanswered request succeeded."""

    request: Request[object]
    value: object


@dataclass(frozen=True)
class Refused:
    """The server rejected the oldest unanswered request; the session goes on."""

    request: Request[object]
    message: PeerText


@dataclass(frozen=True)
class Logged:
    """A log line of the server."""

    text: PeerText


Event = Union[Greeted[Server], Replied, Refused, Logged]


class Conversation(Generic[Server]):
    """One session: tracks unanswered requests, and turns received bytes into events.

    Send the bytes that `greeting` and `request` return, in order; pass everything that arrives to
    `receive`. Each subclass is one protocol.
    """

    server_magic: bytes
    """The first eight bytes that a server of this protocol sends."""

    def __init__(self) -> None:
        self.server: Optional[Server] = None
        """The server's greeting; None until it has arrived."""
        self._unanswered: Deque[Request[object]] = deque()
        self._flow_control = FlowControl()
        self._events: list[Event[Server]] = []
        self._reserve = RESERVE
        self._feed: Feed[NoReturn] = Feed(self._read_session())

    def greeting(self) -> bytes:
        """The first bytes of a session."""
        raise NotImplementedError

    def _read_greeting(self) -> Decoder[Server]:
        raise NotImplementedError

    def _read_event(self) -> Decoder[Event[Server]]:
        """Reads the next event after the greeting."""
        raise NotImplementedError

    def _oldest(self) -> Request[object]:
        """The request of the next reply. Call it only when that reply has begun to arrive."""
        if not self._unanswered:
            raise WireError("a reply without a request")
        return self._unanswered[0]

    def _read_reply(self, request: Request[object], reply: Decoder[object]) -> Decoder[object]:
        """Reads a reply of bounded size: the memory it uses depends on what was asked."""
        allowance = request.reply_allowance()
        value, taken = yield from at_most(allowance + self._reserve, reply)
        self._reserve -= max(0, taken - allowance)
        return value

    def request(self, request: Request[object]) -> bytes:
        """The bytes of a request, which counts as sent."""
        encoded = request.encode()
        self.sent(request, len(encoded))
        return encoded

    def sent(self, request: Request[object], size: int) -> None:
        """Records that a request, encoded in `size` bytes, is sent."""
        self._flow_control.sent(size + request.content_size, request.reply_size)
        self._unanswered.append(request)

    def admits(self, request: Request[object], size: int) -> bool:
        """Whether a request, encoded in `size` bytes, may be sent now.

        If not, the server must answer an earlier request first: see
        `nix_remote.protocol.flow_control`.
        """
        return self._flow_control.admits(size + request.content_size)

    @property
    def unanswered(self) -> Sequence[Request[object]]:
        """Unanswered requests, oldest first."""
        return tuple(self._unanswered)

    def receive(self, data: bytes) -> Iterator[Event[Server]]:
        """The events that the received bytes complete.

        Raises `WireError` after the last valid event; the session cannot continue then.
        """
        error = None
        try:
            self._feed.push(data)
        except WireError as caught:
            error = caught
        events, self._events = self._events, []
        return _until(events, error)

    def _read_session(self) -> Decoder[NoReturn]:
        self.server = yield from self._read_greeting()
        self._events.append(Greeted(self.server))
        while True:
            event = yield from self._read_event()
            if isinstance(event, (Replied, Refused)):
                self._unanswered.popleft()
                self._flow_control.answered()
            self._events.append(event)


def _until(events: Sequence[Event[Server]], error: Optional[WireError]) -> Iterator[Event[Server]]:
    yield from events
    if error is not None:
        raise error
