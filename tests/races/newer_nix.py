"""A `nix-daemon --stdio` that behaves like a later version, in front of the daemon that runs.

    newer_nix.py VERSION [--remembers-temporary-roots]

Runs on a Nix server for an ordinary account, as Nix itself from 2.20 on: it greets for itself,
reads each request, asks the daemon, and makes durable roots with the account's own rights. From
2.36 on it asks for a temporary root only once per session. One request at a time; it knows those
that the copier makes. Standard library only.
"""

from __future__ import annotations

import contextlib
import os
import socket
import struct
import sys
from typing import BinaryIO, Callable, Mapping

SOCKET = "/nix/var/nix/daemon-socket/socket"
CLIENT_MAGIC, SERVER_MAGIC = 0x6E697863, 0x6478696F
OWN_PROTOCOL, DAEMON_PROTOCOL = 0x126, 0x125
LAST, ERROR = 0x616C7473, 0x63787470
LINE, START, STOP, RESULT = 0x6F6C6D67, 0x53545254, 0x53544F50, 0x52534C54


def number(value: int) -> bytes:
    return struct.pack("<Q", value)


def text(value: str) -> bytes:
    data = value.encode()
    return number(len(data)) + data + bytes(-len(data) % 8)


class Reader:
    """Reads values, and keeps their bytes until `taken` is called."""

    def __init__(self, source: BinaryIO) -> None:
        self._source = source
        self._kept = bytearray()

    def taken(self) -> bytes:
        kept, self._kept = bytes(self._kept), bytearray()
        return kept

    def raw(self, size: int) -> bytes:
        data = self._source.read(size)
        if len(data) < size:
            raise EOFError
        self._kept += data
        return data

    def number(self) -> int:
        value: int = struct.unpack("<Q", self.raw(8))[0]
        return value

    def text(self) -> str:
        size = self.number()
        data = self.raw(size)
        self.raw(-size % 8)
        return data.decode()

    def texts(self) -> None:
        for _ in range(self.number()):
            self.text()

    def numbers(self, count: int) -> None:
        for _ in range(count):
            self.number()


def read_fields(reader: Reader) -> None:
    for _ in range(reader.number()):
        if reader.number() == 0:
            reader.number()
        else:
            reader.text()


def read_messages(reader: Reader) -> bool:
    """Reads what a daemon says before its reply; whether a reply follows."""
    while True:
        kind = reader.number()
        if kind == LAST:
            return True
        if kind == LINE:
            reader.text()
        elif kind == START:
            reader.numbers(3)
            reader.text()
            read_fields(reader)
            reader.number()
        elif kind == STOP:
            reader.number()
        elif kind == RESULT:
            reader.numbers(2)
            read_fields(reader)
        elif kind == ERROR:
            reader.text()
            reader.number()
            reader.text()
            reader.text()
            reader.number()
            for _ in range(reader.number()):
                reader.number()
                reader.text()
            return False
        else:
            raise ValueError(f"message {kind:#x}")


def read_path_info(reader: Reader) -> None:
    reader.text()
    reader.text()
    reader.texts()
    reader.numbers(3)
    reader.texts()
    reader.text()


def read_optional_path_info(reader: Reader) -> None:
    if reader.number():
        read_path_info(reader)


def read_added_path(reader: Reader) -> None:
    reader.text()
    read_path_info(reader)
    reader.numbers(2)


def read_collection(reader: Reader) -> None:
    reader.number()
    reader.texts()
    reader.numbers(5)


def read_collected(reader: Reader) -> None:
    reader.texts()
    reader.numbers(2)


def read_query(reader: Reader) -> None:
    reader.texts()
    reader.number()


def read_roots(reader: Reader) -> None:
    for _ in range(reader.number()):
        reader.text()
        reader.text()


def nothing(reader: Reader) -> None:
    pass


Read = Callable[[Reader], object]

REQUESTS: Mapping[int, tuple[Read, Read]] = {
    11: (Reader.text, Reader.number),  # AddTempRoot
    12: (Reader.text, Reader.number),  # AddIndirectRoot
    14: (nothing, read_roots),  # FindRoots
    20: (read_collection, read_collected),
    26: (Reader.text, read_optional_path_info),
    31: (read_query, Reader.texts),
    39: (read_added_path, nothing),
}
ADD_TEMP_ROOT, ADD_INDIRECT_ROOT, ADD_TO_STORE, ADD_PERM_ROOT = 11, 12, 39, 47


class Relay:
    """One session."""

    def __init__(self, version: str, remembers: bool) -> None:
        self._remembers = remembers
        self._temporary_roots: set[str] = set()
        connection = socket.socket(socket.AF_UNIX)
        connection.connect(SOCKET)
        self._daemon = connection.makefile("wb")
        self._answers = Reader(connection.makefile("rb"))
        self._client = sys.stdout.buffer
        self._requests = Reader(sys.stdin.buffer)
        trust = self._greet_daemon()
        self._requests.numbers(2)
        self._to_client(number(SERVER_MAGIC), number(OWN_PROTOCOL))
        self._requests.numbers(2)
        self._to_client(text(version), number(trust), number(LAST))

    def _greet_daemon(self) -> int:
        """Returns what the daemon says of trust."""
        greeting = (CLIENT_MAGIC, DAEMON_PROTOCOL, 0, 0)
        self._to_daemon(*map(number, greeting))
        assert self._answers.number() == SERVER_MAGIC
        protocol = self._answers.number()
        if protocol >= 0x121:
            self._answers.text()
        trust = self._answers.number() if protocol >= 0x123 else 0
        read_messages(self._answers)
        self._answers.taken()
        return trust

    def _to_client(self, *parts: bytes) -> None:
        self._client.write(b"".join(parts))
        self._client.flush()

    def _to_daemon(self, *parts: bytes) -> None:
        self._daemon.write(b"".join(parts))
        self._daemon.flush()

    def serve(self) -> None:
        while True:
            self._requests.taken()
            operation = self._requests.number()
            if operation == ADD_PERM_ROOT:
                self._add_perm_root()
                continue
            read_request, read_reply = REQUESTS[operation]
            asked = read_request(self._requests)
            if operation == ADD_TEMP_ROOT and self._has(str(asked)):
                self._to_client(number(LAST), number(1))
                continue
            self._to_daemon(self._requests.taken())
            if operation == ADD_TO_STORE:
                self._pass_frames()
            if read_messages(self._answers):
                read_reply(self._answers)
            self._to_client(self._answers.taken())

    def _has(self, path: str) -> bool:
        had = path in self._temporary_roots
        self._temporary_roots.add(path)
        return had and self._remembers

    def _pass_frames(self) -> None:
        size = -1
        while size:
            size = self._requests.number()
            self._requests.raw(size)
            self._to_daemon(self._requests.taken())

    def _ask(self, operation: int, argument: str) -> None:
        self._to_daemon(number(operation), text(argument))
        assert read_messages(self._answers), self._answers.taken()
        self._answers.number()
        self._answers.taken()

    def _add_perm_root(self) -> None:
        path, link = self._requests.text(), os.path.abspath(self._requests.text())
        try:
            if not self._has(path):
                self._ask(ADD_TEMP_ROOT, path)
            os.makedirs(os.path.dirname(link), exist_ok=True)
            os.symlink(path, f"{link}.tmp")
            os.rename(f"{link}.tmp", link)
            self._ask(ADD_INDIRECT_ROOT, link)
        except OSError as error:
            words = (text("Error"), number(0), text("Error"), text(str(error)), number(0))
            self._to_client(number(ERROR), *words, number(0))
        else:
            self._to_client(number(LAST), text(link))


def main() -> None:
    with contextlib.suppress(EOFError):
        Relay(sys.argv[1], "--remembers-temporary-roots" in sys.argv[2:]).serve()


if __name__ == "__main__":
    main()
