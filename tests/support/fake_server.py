"""A worker-protocol server in this process, for behaviour that real ones seldom show.

It complements the real daemons of the integration tests, and only injects faults:
refusals in the middle, silence, garbage, sudden ends.
"""

from __future__ import annotations

import posixpath
import threading
from dataclasses import dataclass, field
from typing import Callable, NoReturn, Optional, Sequence, Union

from nix_remote.protocol import versions
from nix_remote.ssh.memory import MemoryChannel, MemoryCommand, pair
from nix_remote.ssh.transport import ChannelTimeout
from nix_remote.store.paths import PathInfo, StorePath, parse_store_path
from nix_remote.wire.codec import (
    Decoder,
    Feed,
    encode_bool,
    encode_bytes,
    encode_number,
    encode_text,
    encode_texts,
    read_bool,
    read_number,
    read_text,
    read_texts,
)
from nix_remote.wire.framed import read_framed
from tests.support.splicing_proxy import SocketChannel, SocketCommand, pair_through_proxy

LAST = encode_number(0x616C7473)

Command = Union[MemoryCommand, SocketCommand]


def failure(message: str) -> bytes:
    """An error reply, as of protocol 1.26."""
    return b"".join(
        (
            encode_number(0x63787470),
            encode_text("Error"),
            encode_number(0),
            encode_text("Error"),
            encode_text(message),
            encode_number(0),
            encode_number(0),
        )
    )


def encoded_info(info: PathInfo, registered: int = 1) -> bytes:
    """The reply to operation 26 about a valid path, as of protocol 1.17."""
    return b"".join(
        (
            encode_bool(True),
            encode_text(info.deriver or ""),
            encode_text(info.nar_hash.hex()),
            encode_texts(info.references),
            encode_number(registered),
            encode_number(info.nar_size),
            encode_bool(False),
            encode_texts(info.signatures),
            encode_text(info.content_address),
        )
    )


class EndSession(Exception):
    """Raised by a hook: the server ends without another word."""


@dataclass
class FakeServer:
    """What the server holds and how it misbehaves.

    `before(operation, argument)` runs before each operation; what it returns
    is sent instead of the proper reply, `EndSession` ends the session.
    """

    valid: set[StorePath] = field(default_factory=set)
    roots: dict[str, StorePath] = field(default_factory=dict)
    """By location, as it was asked for."""
    folder: str = "/home/copier"
    """The folder that the session runs in: relative locations become absolute there."""
    unseen: str = "nowhere"
    """A folder that the collector cannot read."""
    other_roots: Sequence[tuple[str, StorePath]] = ()
    """Those of others, as the server tells them."""
    temporary_roots: set[StorePath] = field(default_factory=set)
    nars: dict[StorePath, bytes] = field(default_factory=dict)
    infos: dict[StorePath, PathInfo] = field(default_factory=dict)
    registered: int = 1
    """When the paths of `infos` became valid, in seconds of the server's clock."""
    signatures: dict[StorePath, tuple[str, ...]] = field(default_factory=dict)
    substitutable: set[StorePath] = field(default_factory=set)
    operations: list[int] = field(default_factory=list)
    before: Callable[[int, str], Optional[bytes]] = lambda operation, argument: None
    protocol: versions.ProtocolVersion = versions.ProtocolVersion(1, 38)
    nix_version: str = "2.34.8"
    trust: int = 1
    greeting: Optional[bytes] = None
    """Sent instead of a proper greeting, if set."""
    exit_status: int = 0
    stderr: str = ""

    def start(self, capacity: int = 64 * 1024) -> MemoryChannel:
        """Starts serving in a thread; returns the client's end."""
        channel, command = pair(capacity)
        self._start(command)
        return channel

    def start_behind_proxy(self) -> SocketChannel:
        """The same behind a proxy of one thread, as up to Nix 2.19 for ordinary accounts."""
        channel, command = pair_through_proxy()
        self._start(command)
        return channel

    def _start(self, command: Command) -> None:
        threading.Thread(target=self._serve, args=(command,), daemon=True).start()

    def _serve(self, command: Command) -> None:
        feed = Feed(self._session(command))
        try:
            while True:
                try:
                    data = command.read(65536)
                except ChannelTimeout:
                    continue
                if not data:
                    return
                feed.push(data)
        except (EndSession, BrokenPipeError):
            pass
        finally:
            command.exit(self.exit_status, self.stderr)

    def _session(self, command: Command) -> Decoder[NoReturn]:
        for _ in range(4):  # magic, version and two obsolete numbers
            yield from read_number()
        if self.greeting is not None:
            command.write(self.greeting)
            raise EndSession
        words = [encode_number(0x6478696F), encode_number(self.protocol.number)]
        words += [encode_text(self.nix_version)] if self.protocol >= (1, 33) else []
        words += [encode_number(self.trust)] if self.protocol >= (1, 35) else []
        command.write(b"".join(words) + LAST)
        while True:
            operation = yield from read_number()
            argument, reply = yield from _OPERATIONS[operation](self)
            instead = self.before(operation, argument)
            self.operations.append(operation)
            if instead is not None:
                command.write(instead)
            else:
                command.write(reply())

    def _add_temp_root(self) -> Decoder[tuple[str, Callable[[], bytes]]]:
        path = yield from read_text()

        def reply() -> bytes:
            self.temporary_roots.add(parse_store_path(path))
            return LAST + encode_number(1)

        return path, reply

    def _query_valid(self) -> Decoder[tuple[str, Callable[[], bytes]]]:
        paths = yield from read_texts()
        substitute = yield from read_bool()
        asked = set(map(parse_store_path, paths))

        def reply() -> bytes:
            if substitute:
                self.valid |= asked & self.substitutable
            return LAST + encode_texts(sorted(self.valid & asked))

        return "substitute" if substitute else "", reply

    def _add_to_store(self) -> Decoder[tuple[str, Callable[[], bytes]]]:
        path = parse_store_path((yield from read_text()))
        yield from read_text()
        yield from read_text()
        references = yield from read_texts()
        yield from read_number()
        nar_size = yield from read_number()
        yield from read_bool()
        signatures = yield from read_texts()
        yield from read_text()
        repair = yield from read_bool()
        yield from read_bool()
        nar = yield from read_framed(2**32)

        def reply() -> bytes:
            absent = set(map(parse_store_path, references)) - self.valid - {path}
            if absent:
                return failure(f"path '{min(absent)}' is not valid")
            if len(nar) != nar_size:
                return failure(f"size mismatch importing path '{path}'")
            if path in self.valid and not repair:
                return LAST
            self.valid.add(path)
            self.nars[path] = nar
            self.signatures[path] = tuple(signatures)
            return LAST

        return path, reply

    def _collect(self) -> Decoder[tuple[str, Callable[[], bytes]]]:
        yield from read_number()
        yield from read_texts()
        for _ in range(5):
            yield from read_number()
        return "", lambda: LAST + encode_texts(()) + encode_number(0) * 2

    def _add_perm_root(self) -> Decoder[tuple[str, Callable[[], bytes]]]:
        path = yield from read_text()
        location = yield from read_text()

        def reply() -> bytes:
            self.roots[location] = parse_store_path(path)
            return LAST + encode_text(self._absolute(location))

        return location, reply

    def _absolute(self, location: str) -> str:
        return posixpath.join(self.folder, location)

    def _find_roots(self) -> Decoder[tuple[str, Callable[[], bytes]]]:
        yield from ()

        def reply() -> bytes:
            made = [
                (self._absolute(location), path)
                for location, path in self.roots.items()
                if path in self.valid and not self._absolute(location).startswith(self.unseen)
            ]
            told = [*self.other_roots, *made]
            words = [encode_text(word) for root in told for word in root]
            return LAST + encode_number(len(told)) + b"".join(words)

        return "", reply

    def _query_path_info(self) -> Decoder[tuple[str, Callable[[], bytes]]]:
        path = parse_store_path((yield from read_text()))

        def reply() -> bytes:
            info = self.infos.get(path)
            if info is None:
                return LAST + encode_bool(False)
            return LAST + encoded_info(info, self.registered)

        return path, reply


_OPERATIONS = {
    11: FakeServer._add_temp_root,
    14: FakeServer._find_roots,
    20: FakeServer._collect,
    26: FakeServer._query_path_info,
    31: FakeServer._query_valid,
    39: FakeServer._add_to_store,
    47: FakeServer._add_perm_root,
}

__all__ = ["LAST", "EndSession", "FakeServer", "encode_bytes", "encoded_info", "failure"]
