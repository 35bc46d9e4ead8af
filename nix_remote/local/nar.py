"""Writes the NAR of a path: the archive format that Nix hashes and sends.

    nar  = "nix-archive-1" node
    node = "(" "type" "regular" ["executable" ""] "contents" BYTES ")"
         | "(" "type" "symlink" "target" TARGET ")"
         | "(" "type" "directory" { "entry" "(" "name" NAME "node" node ")" } ")"

Every item is a string as in the protocols (`nix_remote.wire.codec`). Entries
are in byte order of their names. Owner, group, times and all mode bits except
the owner's "executable" are left out. The result is identical to that of
`nix-store --dump`.
"""

from __future__ import annotations

import os
import stat
from typing import Final, Iterator, Optional, Sequence

from nix_remote.wire.codec import encode_bytes, encode_number

CHUNK: Final = 256 * 1024

_OPEN_FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC

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

    Raises `OSError` when a file cannot be read, `ValueError` for files that a NAR cannot contain
    (devices, sockets) and for a file that shrinks or grows while it is read.
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
    """Walks the tree without recursion: it may be deeper than the stack.

    A name is looked up in the folder that is open, never by its full path: in a deep tree, that is
    longer than PATH_MAX. One folder is open at a time; its parent is opened through `..`, so that
    the number of descriptors does not grow with the depth.
    """
    yield _MAGIC
    name = path
    folder: Optional[int] = None
    shown = [path]
    """The names from the top to the current file, for error messages."""
    waiting: list[list[bytes]] = []
    """For every folder from the top: its remaining entries in reverse order."""
    try:
        while True:
            status = os.stat(name, dir_fd=folder, follow_symlinks=False)
            if stat.S_ISDIR(status.st_mode):
                yield _DIRECTORY
                folder = _moved(folder, name, os.O_NOFOLLOW)
                waiting.append(_entries(folder))
            else:
                yield from _leaf(folder, name, status, shown)
                shown.pop()
                if waiting:
                    yield _CLOSE
            while waiting and not waiting[-1]:
                waiting.pop()
                yield _CLOSE
                shown.pop()
                if waiting:
                    folder = _moved(folder, b"..")
                    yield _CLOSE
            if not waiting:
                return
            name = waiting[-1].pop()
            shown.append(name)
            yield _ENTRY + encode_bytes(name) + _NODE
    except OSError as error:
        # The original message names only the last component.
        raise OSError(error.errno, error.strerror, _full_name(shown)) from None
    finally:
        if folder is not None:
            os.close(folder)


def _entries(folder: int) -> list[bytes]:
    """The names in an open folder, in reverse order."""
    return sorted(map(os.fsencode, os.listdir(folder)), reverse=True)


def _moved(folder: Optional[int], name: bytes, flags: int = 0) -> int:
    """Opens a folder by its name in `folder`, which is closed."""
    moved = os.open(name, _OPEN_FOLDER | flags, dir_fd=folder)
    if folder is not None:
        os.close(folder)
    return moved


def _leaf(
    folder: Optional[int], name: bytes, status: os.stat_result, shown: Sequence[bytes]
) -> Iterator[bytes]:
    """The node of a file or a symbolic link."""
    if stat.S_ISREG(status.st_mode):
        yield _REGULAR
        if status.st_mode & stat.S_IXUSR:
            yield _EXECUTABLE
        yield _CONTENTS
        yield from _contents(folder, name, status.st_size, shown)
        yield _CLOSE
    elif stat.S_ISLNK(status.st_mode):
        yield _SYMLINK + encode_bytes(os.readlink(name, dir_fd=folder)) + _CLOSE
    else:
        raise ValueError(f"{_full_name(shown)} is not a file, a folder or a symbolic link")


def _full_name(shown: Sequence[bytes]) -> str:
    return os.fsdecode(b"/".join(shown))


def _contents(
    folder: Optional[int], name: bytes, size: int, shown: Sequence[bytes]
) -> Iterator[bytes]:
    yield encode_number(size)
    remaining = size
    descriptor = os.open(name, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW, dir_fd=folder)
    with open(descriptor, "rb", buffering=0) as file:
        while remaining:
            piece = file.read(min(remaining, CHUNK))
            if not piece:
                raise ValueError(f"{_full_name(shown)} became shorter while it was read")
            remaining -= len(piece)
            yield piece
        if file.read(1):
            raise ValueError(f"{_full_name(shown)} became longer while it was read")
    yield bytes(-size % 8)
