"""The client's side of the Nix serve protocol (`nix-store --serve`).

    client: magic, version                       server: magic, version
    client: command number, fields               server: reply

There are no log messages and no error replies: a server that cannot execute a
command writes a message to its standard error and ends the stream. It does not
announce whether it trusts us. Commands may be sent while earlier ones are
unanswered. A NAR is sent after its `AddToStoreNar`, without framing.

The server caches path infos for the length of a session: after
`QueryPathInfos` or `QueryClosure`, its replies about validity may be stale. So
a session that sends paths uses neither.

(Layouts checked against Nix 2.8, 2.26 and 2.34.)
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from nix_remote.protocol import versions
from nix_remote.protocol.conversation import Conversation, Event, Replied, Request
from nix_remote.store.paths import PathInfo, StorePath, parse_nar_hash
from nix_remote.wire.codec import (
    MAX_ITEMS,
    Decoder,
    T,
    WireError,
    encode_bool,
    encode_number,
    encode_texts,
    read_number,
    read_text,
)
from nix_remote.wire.fields import (
    LONGEST_STORE_PATH,
    PATH_INFO_ALLOWANCE,
    encode_path_info,
    encoded_size,
    read_nar_hash,
    read_optional_store_path,
    read_signatures,
    read_store_paths,
    read_valid_paths,
)

_CLIENT_MAGIC: Final = 0x390C9DEB
_SERVER_MAGIC: Final = 0x5452EECB


@dataclass(frozen=True)
class QueryValidPaths(Request["frozenset[StorePath]"]):
    """Command 1. Which of these paths are valid.

    With `lock`, the server makes a temporary root for each of them, valid or
    not, which requires `--write`. With `substitute`, the server first tries to
    fetch those that are not valid from its substituters.
    """

    paths: tuple[StorePath, ...]
    lock: bool
    substitute: bool = False
    operation = 1

    def fields(self) -> bytes:
        return encode_bool(self.lock) + encode_bool(self.substitute) + encode_texts(self.paths)

    def read_reply(self) -> Decoder[frozenset[StorePath]]:
        return (yield from read_valid_paths(self.paths))

    def reply_allowance(self) -> int:
        return sum(map(encoded_size, self.paths)) + 8


@dataclass(frozen=True)
class QueryPathInfos(Request[list[PathInfo]]):
    """Command 2 (reply as of 2.4). The infos of those of these paths that are valid."""

    paths: tuple[StorePath, ...]
    operation = 2

    def fields(self) -> bytes:
        return encode_texts(self.paths)

    def read_reply(self) -> Decoder[list[PathInfo]]:
        asked = frozenset(self.paths)
        infos: list[PathInfo] = []
        while True:
            path = yield from read_optional_store_path()
            if path is None:
                return infos
            if path not in asked or len(infos) == len(self.paths):
                raise WireError(f"{path} in the reply, which was not asked about")
            deriver = yield from read_optional_store_path()
            references = yield from read_store_paths()
            yield from read_number()  # download size
            nar_size = yield from read_number()
            nar_hash = yield from read_nar_hash(parse_nar_hash)
            content_address = yield from read_text()
            signatures = yield from read_signatures()
            infos.append(
                PathInfo(
                    path,
                    nar_hash,
                    nar_size,
                    tuple(sorted(references)),
                    deriver,
                    signatures,
                    content_address,
                )
            )

    def reply_allowance(self) -> int:
        return PATH_INFO_ALLOWANCE * len(self.paths) + 8


@dataclass(frozen=True)
class QueryClosure(Request[list[StorePath]]):
    """Command 7. The closure of these paths, sorted; a path that is not valid ends the session."""

    paths: tuple[StorePath, ...]
    operation = 7

    def fields(self) -> bytes:
        return encode_bool(False) + encode_texts(self.paths)  # without outputs of derivers

    def read_reply(self) -> Decoder[list[StorePath]]:
        return (yield from read_store_paths())

    def reply_allowance(self) -> int:
        # Only the local store is asked: a closure has any size.
        return MAX_ITEMS * (LONGEST_STORE_PATH + 8)


@dataclass(frozen=True)
class AddToStoreNar(Request[None]):
    """Command 9 (2.5). Registers a path; its NAR, `nar_size` bytes, follows."""

    info: PathInfo
    operation = 9
    reply_size = 16

    @property
    def content_size(self) -> int:
        return self.info.nar_size

    def fields(self) -> bytes:
        return encode_path_info(self.info)

    def read_reply(self) -> Decoder[None]:
        done = yield from read_number()
        if done != 1:
            raise WireError(f"{done} instead of 1 for a path that was added")


class ServeConversation(Conversation[versions.ServeServer]):
    """One session of the serve protocol."""

    server_magic = encode_number(_SERVER_MAGIC)

    def greeting(self) -> bytes:
        return encode_number(_CLIENT_MAGIC) + encode_number(versions.SERVE_CLIENT.number)

    def _read_greeting(self) -> Decoder[versions.ServeServer]:
        magic = yield from read_number()
        if magic != _SERVER_MAGIC:
            raise WireError("this is not the serve protocol")
        version = versions.protocol_version((yield from read_number()))
        if version < versions.SERVE_OLDEST or version.major != versions.SERVE_CLIENT.major:
            raise versions.UnsupportedVersion("serve", version, versions.SERVE_OLDEST)
        return versions.ServeServer(version)

    def _read_event(self) -> Decoder[Event[versions.ServeServer]]:
        # Every reply begins with a number. Only when it has arrived, the request of the reply
        # is certain.
        first = yield 8
        request = self._oldest()
        return Replied(
            request,
            (yield from _resume(self._read_reply(request, request.read_reply()), first)),
        )


def _resume(decoder: Decoder[T], first: bytes) -> Decoder[T]:
    """Runs a decoder whose first bytes were read already."""
    next(decoder)
    try:
        wanted = decoder.send(first)
        while True:
            wanted = decoder.send((yield wanted))
    except StopIteration as stop:
        return stop.value  # type: ignore[no-any-return]  # what the decoder returned
