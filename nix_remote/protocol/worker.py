"""The requests of the Nix worker protocol: how each is written, and how its reply is read.

A NAR is sent after its `AddToStoreNar`, as a framed stream (`nix_remote.wire.framed`). The
server reads the stream to its end before it reports that it rejects the path.

Does not belong here: the greeting and the order of messages (`worker_conversation.py`).

(Layouts checked against Nix 2.8, 2.26 and 2.34.)
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Optional

from nix_remote.protocol.conversation import Request
from nix_remote.store.paths import PathInfo, StorePath, nar_hash_from_hex
from nix_remote.wire.codec import (
    Decoder,
    encode_bool,
    encode_number,
    encode_text,
    encode_texts,
    read_bool,
    read_number,
    read_peer_text,
    read_text,
    skip_texts,
)
from nix_remote.wire.fields import (
    PATH_INFO_ALLOWANCE,
    encode_path_info,
    encoded_size,
    read_nar_hash,
    read_optional_store_path,
    read_signatures,
    read_store_paths,
    read_valid_paths,
)

RootLink = tuple[str, StorePath]
"""A root's absolute location, and its path."""

_MOST_OF_ROOTS: Final = 2**31
"""Bytes: some ten million roots. Each is discarded after the comparison."""

_UNBOUNDED: Final = 2**62
"""For a reply that is discarded."""
_LONGEST_LOCATION: Final = 4096
"""Bytes: PATH_MAX of Linux."""


@dataclass(frozen=True)
class AddTempRoot(Request[None]):
    """Operation 11. Makes a temporary root for a path, valid or not: it lasts as the session."""

    path: StorePath
    operation = 11
    reply_size = 16

    def fields(self) -> bytes:
        return encode_text(self.path)

    def read_reply(self) -> Decoder[None]:
        yield from read_number()  # always 1


@dataclass(frozen=True)
class QueryValidPaths(Request["frozenset[StorePath]"]):
    """Operation 31 (fields as of 1.27). Which of these paths are valid.

    With `substitute`, the server first tries to fetch the others from its
    substituters; that can take any time.
    """

    paths: tuple[StorePath, ...]
    substitute: bool = False
    operation = 31

    def fields(self) -> bytes:
        return encode_texts(self.paths) + encode_bool(self.substitute)

    def read_reply(self) -> Decoder[frozenset[StorePath]]:
        return (yield from read_valid_paths(self.paths))

    def reply_allowance(self) -> int:
        return sum(map(encoded_size, self.paths)) + 8


@dataclass(frozen=True)
class QueryPathInfo(Request[Optional[PathInfo]]):
    """Operation 26 (reply as of 1.17). The info of a path; None if it is not valid."""

    path: StorePath
    operation = 26

    def fields(self) -> bytes:
        return encode_text(self.path)

    def read_reply(self) -> Decoder[Optional[PathInfo]]:
        registered = yield from _read_registered(self.path)
        return None if registered is None else registered.info

    def reply_allowance(self) -> int:
        return PATH_INFO_ALLOWANCE


@dataclass(frozen=True)
class QueryRegistrationTime(Request[Optional[int]]):
    """Operation 26 (reply as of 1.17). When a path became valid; None if it is not valid.

    Seconds since 1970 on the server's clock, rounded down.
    """

    path: StorePath
    operation = 26

    def fields(self) -> bytes:
        return encode_text(self.path)

    def read_reply(self) -> Decoder[Optional[int]]:
        registered = yield from _read_registered(self.path)
        return None if registered is None else registered.time

    def reply_allowance(self) -> int:
        return PATH_INFO_ALLOWANCE


@dataclass(frozen=True)
class _Registered:
    """What the server has registered of a valid path."""

    info: PathInfo
    time: int


def _read_registered(path: StorePath) -> Decoder[Optional[_Registered]]:
    if not (yield from read_bool()):
        return None
    deriver = yield from read_optional_store_path()
    nar_hash = yield from read_nar_hash(nar_hash_from_hex)
    references = yield from read_store_paths()
    time = yield from read_number()
    nar_size = yield from read_number()
    yield from read_bool()  # ultimate: built on the server
    signatures = yield from read_signatures()
    content_address = yield from read_text()
    ordered = tuple(sorted(references))
    info = PathInfo(path, nar_hash, nar_size, ordered, deriver, signatures, content_address)
    return _Registered(info, time)


@dataclass(frozen=True)
class AddToStoreNar(Request[None]):
    """Operation 39 (framed as of 1.23). Registers a path; its NAR follows as a framed stream.

    With `repair`, the server replaces a valid path: it deletes the path on the disk, then unpacks
    the NAR. This needs no more rights than adding a missing path.
    """

    info: PathInfo
    repair: bool = False
    operation = 39
    reply_size = 16

    @property
    def content_size(self) -> int:
        return self.info.nar_size

    def fields(self) -> bytes:
        repair = encode_bool(self.repair)
        # The server ignores it unless it trusts us; without it, even root's unsigned paths are
        # rejected.
        do_not_check_signatures = encode_bool(True)
        return encode_path_info(self.info) + repair + do_not_check_signatures

    def read_reply(self) -> Decoder[None]:
        yield from ()


@dataclass(frozen=True)
class CollectGarbage(Request[None]):
    """Operation 20, as a barrier: a collection that deletes nothing.

    It takes the collector's lock, so it returns only when every collector that took the lock
    before has ended. Any account may run it.
    """

    operation = 20
    reply_size = 32

    def fields(self) -> bytes:
        delete_nothing = encode_number(1) + encode_texts(())
        ignore_liveness, at_most_bytes = encode_bool(False), encode_number(0)
        obsolete = encode_number(0) * 3
        return delete_nothing + ignore_liveness + at_most_bytes + obsolete

    def read_reply(self) -> Decoder[None]:
        yield from skip_texts()  # paths deleted
        yield from read_number()  # bytes freed
        yield from read_number()  # obsolete

    def reply_allowance(self) -> int:
        return _UNBOUNDED


@dataclass(frozen=True)
class AddPermRoot(Request[str]):
    """Operation 47 (1.36). Makes the link `location` to a path a durable root.

    A relative location starts at the working folder of the session: the account's home folder.
    The server makes missing folders, and replaces a link into the store atomically. The reply is
    the absolute location.
    """

    path: StorePath
    location: str
    operation = 47

    def fields(self) -> bytes:
        return encode_text(self.path) + encode_text(self.location)

    def read_reply(self) -> Decoder[str]:
        return (yield from read_peer_text(_LONGEST_LOCATION)).line(_LONGEST_LOCATION)

    def reply_allowance(self) -> int:
        return _LONGEST_LOCATION + 16


@dataclass(frozen=True)
class FindRoots(Request["frozenset[RootLink]"]):
    """Operation 14. Which of these roots the collector counts, with a valid path.

    For an ordinary account, the daemon answers, which also collects garbage, with its own view of
    the file system. It reads every registered link. It reports durable roots with their absolute
    location, also to accounts that it does not trust. The reply has all roots of the store; those
    that are not in `wanted` are discarded as they arrive.
    """

    wanted: frozenset[RootLink]
    operation = 14

    def reply_allowance(self) -> int:
        return _MOST_OF_ROOTS

    def fields(self) -> bytes:
        return b""

    def read_reply(self) -> Decoder[frozenset[RootLink]]:
        count = yield from read_number()
        seen = set()
        while count:
            link = yield from read_text()
            target = yield from read_text()
            if (link, target) in self.wanted:
                seen.add((link, StorePath(target)))
            count -= 1
        return frozenset(seen)
