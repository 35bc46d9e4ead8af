"""The client's side of the Nix worker protocol (`nix-daemon --stdio`).

A session, on the wire:

    client: magic, version, 0, 0                      0, 0: obsolete, still expected
    server: magic, version, [Nix version], [trust], start-up messages, Last
    client: operation number, fields                  any number of times,
    server: messages, Last, reply  |  Failure         answered in that order

Nothing in the greeting depends on the server as long as we say 1.37, so the
greeting and the first requests may go out in one write: one round trip.
Requests may be sent while earlier ones are unanswered. Replies must be read
while requests are written, or both sides end up waiting for each other.

A NAR goes out after its `AddToStoreNar`, as a framed stream
(`nix_remote.wire.framed`). The server reads the stream to its end before it
says that it refuses the path.

After a `Failure` the session goes on, unless the server could not even
decode the request; then it ends the stream. A `WireError` is final: what
follows on that stream cannot be trusted.

(Layouts checked against Nix 2.8, 2.26 and 2.34.)
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Deque, Final, Generic, NoReturn, Optional, Sequence, TypeVar, Union

from nix_remote.protocol import versions
from nix_remote.protocol.worker_log import Failure, Last, Line, read_message
from nix_remote.wire.codec import (
    Decoder,
    Feed,
    WireError,
    encode_bool,
    encode_number,
    encode_text,
    encode_texts,
    read_bool,
    read_number,
    read_text,
    read_texts,
)
from nix_remote.wire.fields import read_nar_hash, read_optional_store_path, read_store_paths
from nix_remote.wire.types import PathInfo, StorePath, nar_hash_from_hex

_CLIENT_MAGIC: Final = 0x6E697863
SERVER_MAGIC: Final = 0x6478696F

Reply = TypeVar("Reply", covariant=True)


class Request(Generic[Reply]):
    """One operation: how it is written, and how its reply is read."""

    operation: int

    def encode(self) -> bytes:
        """Everything the request consists of, its operation number included."""
        return encode_number(self.operation) + self.fields()

    def fields(self) -> bytes:
        raise NotImplementedError

    def read_reply(self) -> Decoder[Reply]:
        """Reads what follows `Last`."""
        raise NotImplementedError


@dataclass(frozen=True)
class AddTempRoot(Request[None]):
    """Operation 11. Keeps a path, valid or not, from the collector while the session lives."""

    path: StorePath
    operation = 11

    def fields(self) -> bytes:
        return encode_text(self.path)

    def read_reply(self) -> Decoder[None]:
        yield from read_number()  # always 1


@dataclass(frozen=True)
class QueryValidPaths(Request["frozenset[StorePath]"]):
    """Operation 31 (fields as of 1.27). Which of these paths are valid."""

    paths: tuple[StorePath, ...]
    operation = 31

    def fields(self) -> bytes:
        return encode_texts(self.paths) + encode_bool(False)  # do not substitute

    def read_reply(self) -> Decoder[frozenset[StorePath]]:
        return frozenset((yield from read_store_paths()))


@dataclass(frozen=True)
class QueryPathInfo(Request[Optional[PathInfo]]):
    """Operation 26 (reply as of 1.17). What is registered of a path; None if it is not valid."""

    path: StorePath
    operation = 26

    def fields(self) -> bytes:
        return encode_text(self.path)

    def read_reply(self) -> Decoder[Optional[PathInfo]]:
        if not (yield from read_bool()):
            return None
        deriver = yield from read_optional_store_path()
        nar_hash = yield from read_nar_hash(nar_hash_from_hex)
        references = yield from read_store_paths()
        yield from read_number()  # registration time
        nar_size = yield from read_number()
        yield from read_bool()  # ultimate: built on that machine
        signatures = yield from read_texts()
        content_address = yield from read_text()
        return PathInfo(
            self.path,
            nar_hash,
            nar_size,
            tuple(sorted(references)),
            deriver,
            tuple(signatures),
            content_address,
        )


@dataclass(frozen=True)
class AddToStoreNar(Request[None]):
    """Operation 39 (framed as of 1.23). Registers a path; its NAR follows as a framed stream."""

    info: PathInfo
    operation = 39

    def fields(self) -> bytes:
        info = self.info
        return b"".join(
            (
                encode_text(info.path),
                encode_text(info.deriver or ""),
                encode_text(info.nar_hash.hex()),
                encode_texts(info.references),
                encode_number(0),  # registration time: the server's clock
                encode_number(info.nar_size),
                encode_bool(False),  # ultimate: it was not built there
                encode_texts(info.signatures),
                encode_text(info.content_address),
                encode_bool(False),  # repair
                # Do not check signatures. Heeded only if the server trusts us, and
                # without it even root's unsigned paths are refused.
                encode_bool(True),
            )
        )

    def read_reply(self) -> Decoder[None]:
        yield from ()


@dataclass(frozen=True)
class CollectGarbage(Request[None]):
    """Operation 20, asked to delete nothing: a barrier.

    It waits for a running collector and returns only when that has ended.
    What is valid afterwards and has a temporary root made before is safe
    from every later run. Everybody may ask for it.
    """

    operation = 20

    def fields(self) -> bytes:
        delete_nothing = encode_number(1) + encode_texts(())
        heed_liveness, at_most_bytes = encode_bool(False), encode_number(0)
        obsolete = encode_number(0) * 3
        return delete_nothing + heed_liveness + at_most_bytes + obsolete

    def read_reply(self) -> Decoder[None]:
        yield from read_texts()  # paths deleted
        yield from read_number()  # bytes freed
        yield from read_number()  # obsolete


@dataclass(frozen=True)
class AddPermRoot(Request[str]):
    """Operation 47 (1.36). Makes the link `location` to a path a durable root.

    A relative location is taken from the folder the session runs in: the
    account's home. Missing folders are made; a link that points into the
    store is replaced at once. The reply is the absolute location.
    """

    path: StorePath
    location: str
    operation = 47

    def fields(self) -> bytes:
        return encode_text(self.path) + encode_text(self.location)

    def read_reply(self) -> Decoder[str]:
        return (yield from read_text())


@dataclass(frozen=True)
class Greeted:
    """The session is open."""

    server: versions.WorkerServer


@dataclass(frozen=True)
class Replied:
    """The oldest unanswered request succeeded."""

    request: Request[object]
    value: object


@dataclass(frozen=True)
class Refused:
    """The oldest unanswered request failed; the session goes on."""

    request: Request[object]
    message: str


@dataclass(frozen=True)
class Logged:
    """The server said something meant for people."""

    text: str


Event = Union[Greeted, Replied, Refused, Logged]


@dataclass
class WorkerConnection:
    """One session: keeps which requests are unanswered, turns bytes into events.

    Send what `greeting` and `request` return, in order; hand everything that
    arrives to `receive`.
    """

    server: Optional[versions.WorkerServer] = None
    """What the server said of itself; None until it has."""
    _unanswered: Deque[Request[object]] = field(default_factory=deque)
    _events: list[Event] = field(default_factory=list)
    _feed: Optional[Feed[NoReturn]] = None

    def greeting(self) -> bytes:
        """The first bytes of a session."""
        version = versions.WORKER_CLIENT.number
        return b"".join(map(encode_number, (_CLIENT_MAGIC, version, 0, 0)))

    def request(self, request: Request[object]) -> bytes:
        """The bytes of a request, which from now on waits for its reply."""
        self._unanswered.append(request)
        return request.encode()

    @property
    def unanswered(self) -> Sequence[Request[object]]:
        """Requests whose outcome is not known yet, oldest first."""
        return tuple(self._unanswered)

    def receive(self, data: bytes) -> list[Event]:
        """What the arrived bytes complete. Raises `WireError`; the session is dead then."""
        if self._feed is None:
            self._feed = Feed(self._read_session())
        self._feed.push(data)
        events, self._events = self._events, []
        return events

    def _read_session(self) -> Decoder[NoReturn]:
        self.server = yield from _read_greeting()
        self._events.append(Greeted(self.server))
        while True:
            message = yield from read_message()
            if isinstance(message, Line):
                self._events.append(Logged(message.text))
            elif isinstance(message, (Last, Failure)):
                if not self._unanswered:
                    raise WireError("a reply that nothing was asked for")
                request = self._unanswered[0]
                outcome: Event
                if isinstance(message, Failure):
                    outcome = Refused(request, message.message)
                else:
                    outcome = Replied(request, (yield from request.read_reply()))
                self._unanswered.popleft()
                self._events.append(outcome)


def _read_greeting() -> Decoder[versions.WorkerServer]:
    magic = yield from read_number()
    if magic != SERVER_MAGIC:
        raise WireError("this is not the worker protocol")
    protocol = versions.protocol_version((yield from read_number()))
    if protocol < versions.WORKER_OLDEST or protocol.major != versions.WORKER_CLIENT.major:
        raise versions.UnsupportedVersion("worker", protocol, versions.WORKER_OLDEST)
    effective = min(protocol, versions.WORKER_CLIENT)
    nix_version = (yield from read_text()) if effective >= (1, 33) else None
    trusts_us = None
    if effective >= (1, 35):
        trust = yield from read_number()
        trusts_us = {1: True, 2: False}.get(trust)
    while True:
        message = yield from read_message()
        if isinstance(message, Failure):
            raise WireError(f"the server refused the session: {message.message}")
        if isinstance(message, Last):
            return versions.WorkerServer(protocol, nix_version, trusts_us)
