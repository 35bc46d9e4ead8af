"""Writes the NAR of a path: the archive format in which Nix hashes and sends store paths.

    nar  = "nix-archive-1" node
    node = "(" "type" "regular" ["executable" ""] "contents" BYTES ")"
         | "(" "type" "symlink" "target" TARGET ")"
         | "(" "type" "directory" { "entry" "(" "name" NAME "node" node ")" } ")"

Every item is a string of the protocols (`nix_remote.wire.codec`). Entries
are in byte order of their names. Owner, group, times and all mode bits but
the owner's "executable" are left out. The result is byte for byte that of
`nix-store --dump`.
"""

from __future__ import annotations

import os
import stat
from typing import Final, Iterator

from nix_remote.wire.codec import encode_bytes, encode_number

CHUNK: Final = 256 * 1024

_MAGIC: Final = encode_bytes(b"nix-archive-1")
_OPEN: Final = encode_bytes(b"(")
_CLOSE: Final = encode_bytes(b")")
_REGULAR: Final = _OPEN + encode_bytes(b"type") + encode_bytes(b"regular")
_EXECUTABLE: Final = encode_bytes(b"executable") + encode_bytes(b"")
_CONTENTS: Final = encode_bytes(b"contents")
_SYMLINK: Final = _OPEN + encode_bytes(b"type") + encode_bytes(b"symlink") + encode_bytes(b"target")
_DIRECTORY: Final = _OPEN + encode_bytes(b"type") + encode_bytes(b"directory")
_ENTRY: Final = encode_bytes(b"entry") + _OPEN + encode_bytes(b"name")
_NODE: Final = encode_bytes(b"node")


def nar_chunks(path: str) -> Iterator[bytes]:
    """The NAR of `path` in pieces of about `CHUNK` bytes, whatever the sizes of the files.

    Raises `OSError` when something cannot be read, `ValueError` for what a
    NAR cannot hold (devices, sockets) and for a file that shrinks or grows
    while it is read.
    """
    collected: list[bytes] = []
    size = 0
    for piece in _pieces(os.fsencode(path)):
        collected.append(piece)
        size += len(piece)
        if size >= CHUNK:
            yield b"".join(collected)
            collected.clear()
            size = 0
    if collected:
        yield b"".join(collected)


def _pieces(path: bytes) -> Iterator[bytes]:
    yield _MAGIC
    yield from _node(path)


def _node(path: bytes) -> Iterator[bytes]:
    status = os.lstat(path)
    if stat.S_ISREG(status.st_mode):
        yield _REGULAR
        if status.st_mode & stat.S_IXUSR:
            yield _EXECUTABLE
        yield _CONTENTS
        yield from _contents(path, status.st_size)
        yield _CLOSE
    elif stat.S_ISLNK(status.st_mode):
        yield _SYMLINK + encode_bytes(os.readlink(path)) + _CLOSE
    elif stat.S_ISDIR(status.st_mode):
        yield _DIRECTORY
        for name in sorted(os.listdir(path)):
            yield _ENTRY + encode_bytes(name) + _NODE
            yield from _node(os.path.join(path, name))
            yield _CLOSE
        yield _CLOSE
    else:
        raise ValueError(f"{os.fsdecode(path)} is neither a file, a folder nor a link")


def _contents(path: bytes, size: int) -> Iterator[bytes]:
    yield encode_number(size)
    remaining = size
    with open(path, "rb", buffering=0) as file:
        while remaining:
            piece = file.read(min(remaining, CHUNK))
            if not piece:
                raise ValueError(f"{os.fsdecode(path)} has become shorter")
            remaining -= len(piece)
            yield piece
        if file.read(1):
            raise ValueError(f"{os.fsdecode(path)} has become longer")
    yield bytes(-size % 8)
