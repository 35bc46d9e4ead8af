"""The messages of a worker-protocol server before each reply: log lines, activities, the outcome.

The server answers every operation with any number of messages and then with `Last` (the reply
follows) or `Failure` (no reply follows). Layouts checked against Nix 2.8, 2.26 and 2.34; `Failure`
has this layout from protocol 1.26 on.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Union

from nix_remote.text import PeerText
from nix_remote.wire.codec import Decoder, WireError, read_bytes, read_number, read_peer_text

_NEXT: Final = 0x6F6C6D67
_LAST: Final = 0x616C7473
_ERROR: Final = 0x63787470
_START_ACTIVITY: Final = 0x53545254
_STOP_ACTIVITY: Final = 0x53544F50
_RESULT: Final = 0x52534C54

_MAX_MESSAGE: Final = 1024 * 1024
_MAX_FIELDS: Final = 64
_MAX_TRACES: Final = 1000


@dataclass(frozen=True)
class Line:
    """A log line, or the description of an activity that begins."""

    text: PeerText


@dataclass(frozen=True)
class Noise:
    """A message for progress displays."""


@dataclass(frozen=True)
class Last:
    """The operation succeeded; its reply follows."""


@dataclass(frozen=True)
class Failure:
    """The operation failed. No reply follows."""

    message: PeerText


Message = Union[Line, Noise, Last, Failure]


def read_message() -> Decoder[Message]:
    """The next message of the server."""
    tag = yield from read_number()
    if tag == _LAST:
        return Last()
    if tag == _NEXT:
        return Line((yield from read_peer_text(_MAX_MESSAGE)))
    if tag == _ERROR:
        return (yield from _read_failure())
    if tag == _START_ACTIVITY:
        for _ in range(3):  # id, level, type
            yield from read_number()
        text = yield from read_peer_text(_MAX_MESSAGE)
        yield from _skip_fields()
        yield from read_number()  # parent
        return Line(text) if text else Noise()
    if tag == _STOP_ACTIVITY:
        yield from read_number()
        return Noise()
    if tag == _RESULT:
        yield from read_number()
        yield from read_number()
        yield from _skip_fields()
        return Noise()
    raise WireError(f"0x{tag:x} is not a message of the worker protocol")


def _skip_fields() -> Decoder[None]:
    count = yield from read_number()
    if count > _MAX_FIELDS:
        raise WireError(f"message with {count} fields")
    for _ in range(count):
        kind = yield from read_number()
        if kind == 0:
            yield from read_number()
        elif kind == 1:
            yield from read_bytes(_MAX_MESSAGE)
        else:
            raise WireError(f"field of type {kind}")


def _read_failure() -> Decoder[Failure]:
    yield from read_bytes()  # always "Error"
    yield from read_number()  # level
    yield from read_bytes()  # name, obsolete
    message = yield from read_peer_text(_MAX_MESSAGE)
    yield from _skip_position()
    traces = yield from read_number()
    if traces > _MAX_TRACES:
        raise WireError(f"error with {traces} traces")
    for _ in range(traces):
        yield from _skip_position()
        yield from read_bytes(_MAX_MESSAGE)
    return Failure(PeerText(message.shown(_MAX_MESSAGE).removeprefix("error: ")))


def _skip_position() -> Decoder[None]:
    if (yield from read_number()) != 0:
        raise WireError("error with a source position, which no server sends")
