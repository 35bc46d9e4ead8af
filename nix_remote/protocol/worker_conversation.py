"""The client's side of a session of the Nix worker protocol (`nix-daemon --stdio`).

A session, on the wire:

    client: magic, version, 0, 0                      0, 0: obsolete, still expected
    server: magic, version, [Nix version], [trust], start-up messages, Last
    client: operation number, fields                  any number of times,
    server: messages, Last, reply  |  Failure         answered in that order

While the client announces 1.37, nothing in the greeting depends on the server's answer. So the
greeting and the first requests go out in one write: one round trip. Requests may be sent while
earlier ones are unanswered. Replies must be read while requests are written; otherwise both
sides wait for each other.

After a `Failure` the session goes on, unless the server could not decode the request; then it
ends the stream. A `WireError` is final: nothing that follows on that stream can be trusted.

Does not belong here: the requests (`worker.py`).

(Checked against Nix 2.8, 2.26 and 2.34.)
"""

from __future__ import annotations

from typing import Final

from nix_remote.protocol import versions
from nix_remote.protocol.conversation import Conversation, Event, Logged, Refused, Replied
from nix_remote.protocol.worker_log import Failure, Last, Line, read_message
from nix_remote.wire.codec import Decoder, WireError, encode_number, read_number, read_peer_text

_CLIENT_MAGIC: Final = 0x6E697863
_SERVER_MAGIC: Final = 0x6478696F
_LONGEST_VERSION: Final = 1024
"""Bytes."""


class WorkerConversation(Conversation[versions.WorkerServer]):
    """One session of the worker protocol."""

    server_magic = encode_number(_SERVER_MAGIC)

    def greeting(self) -> bytes:
        version = versions.WORKER_CLIENT.number
        return b"".join(map(encode_number, (_CLIENT_MAGIC, version, 0, 0)))

    def _read_greeting(self) -> Decoder[versions.WorkerServer]:
        magic = yield from read_number()
        if magic != _SERVER_MAGIC:
            raise WireError("the reply is not the worker protocol")
        protocol = versions.protocol_version((yield from read_number()))
        if protocol < versions.WORKER_OLDEST or protocol.major != versions.WORKER_CLIENT.major:
            raise versions.UnsupportedVersion("worker", protocol, versions.WORKER_OLDEST)
        effective = min(protocol, versions.WORKER_CLIENT)
        nix_version = (
            (yield from read_peer_text(_LONGEST_VERSION)) if effective >= (1, 33) else None
        )
        trusts_us = None
        if effective >= (1, 35):
            trust = yield from read_number()
            trusts_us = {1: True, 2: False}.get(trust)
        while True:
            message = yield from read_message()
            if isinstance(message, Failure):
                raise WireError(f"the server rejected the session: {message.message}")
            if isinstance(message, Last):
                return versions.WorkerServer(protocol, nix_version, trusts_us)

    def _read_event(self) -> Decoder[Event[versions.WorkerServer]]:
        while True:
            message = yield from read_message()
            if isinstance(message, Line):
                return Logged(message.text)
            if isinstance(message, Failure):
                return Refused(self._oldest(), message.message)
            if isinstance(message, Last):
                request = self._oldest()
                reply = self._read_reply(request, request.read_reply())
                return Replied(request, (yield from reply))
