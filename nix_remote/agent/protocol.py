"""The agent's side of PROTOCOL.md: frames in, requests out. Sans-IO.

The client's side is `thin_client`, which does not import this module.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Final, Mapping, Sequence, Union

from nix_remote.agent.thin_client import framing
from nix_remote.text import decimal

LARGEST_REQUEST: Final = 8 * 1024 * 1024
"""Bytes. An environment and a command line are below 2 MiB on Linux."""

_HEAD: Final = 5


class ProtocolError(Exception):
    """A client has violated the protocol."""


@dataclass(frozen=True)
class Run:
    """Carry out a command of the command line."""

    arguments: tuple[str, ...]
    folder: str
    """The client's working directory."""
    environment: Mapping[str, str]
    terminal: bool
    """Whether the client's standard error is a terminal."""


@dataclass(frozen=True)
class Cancel:
    """The client was interrupted and wants its request cancelled."""


@dataclass(frozen=True)
class QueryStatus:
    """Report the agent's status."""


@dataclass(frozen=True)
class Stop:
    """Stop, once the requests that have begun are done."""


@dataclass(frozen=True)
class OtherVersion:
    """The client has another version. It works alone when it receives the agent's version."""


Message = Union[Run, Cancel, QueryStatus, Stop, OtherVersion]


class Inbox:
    """Messages of one client, from bytes that arrive in pieces of any size."""

    def __init__(self) -> None:
        self._pending = b""
        self._greeted = False

    def receive(self, data: bytes) -> list[Message]:
        """The messages that `data` completes. Raises `ProtocolError`."""
        self._pending += data
        messages: list[Message] = []
        while len(self._pending) >= _HEAD:
            kind = self._pending[:1]
            length = int.from_bytes(self._pending[1:_HEAD], "big")
            if length > LARGEST_REQUEST:
                raise ProtocolError(f"a message of {length} bytes")
            if len(self._pending) < _HEAD + length:
                break
            payload = self._pending[_HEAD : _HEAD + length]
            self._pending = self._pending[_HEAD + length :]
            if not self._greeted:
                if kind != framing.HELLO:
                    raise ProtocolError("no greeting")
                self._greeted = True
                if framing.frame(kind, payload) != framing.hello():
                    # In another version its messages may have another meaning.
                    self._pending = b""
                    return [OtherVersion()]
                continue
            messages.append(_parse(kind, payload))
        return messages


def _parse(kind: bytes, payload: bytes) -> Message:
    if kind == framing.RUN:
        return _parse_run(payload)
    simple: dict[bytes, Message] = {
        framing.CANCEL: Cancel(),
        framing.STATUS: QueryStatus(),
        framing.STOP: Stop(),
    }
    if kind not in simple or payload:
        raise ProtocolError(f"a message of kind {kind!r}")
    return simple[kind]


def _parse_run(payload: bytes) -> Run:
    fields = [field.decode(errors="surrogateescape") for field in payload.split(b"\0")]
    try:
        terminal, folder, count, *rest = fields
    except ValueError:
        raise ProtocolError("a request without its fields") from None
    number = decimal(count, at_most=len(rest))
    if not number or terminal not in ("0", "1") or not folder.startswith("/"):
        raise ProtocolError("an invalid request")
    variables = (each.partition("=") for each in rest[number:])
    return Run(
        arguments=tuple(rest[:number]),
        folder=folder,
        environment={name: value for name, _, value in variables},
        terminal=terminal == "1",
    )


def status_text(kind: str, process: int, queues: Sequence[Mapping[str, object]]) -> str:
    """The answer to `QueryStatus`: `kind` is "agent" or "lead"; `queues` has the status of each."""
    status = {
        "kind": kind,
        "pid": process,
        "version": framing.VERSION,
        "servers": list(queues),
    }
    return json.dumps(status)
