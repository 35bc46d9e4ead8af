"""The client's side of the Nix serve protocol (`nix-store --serve`).

    client: magic, version                       server: magic, version
    client: command number, fields               server: reply

There are no log messages and no error replies: a server that cannot do what
was asked writes a sentence to its standard error and ends the stream.

Within one session, path infos are cached: after `QueryPathInfos` or
`QueryClosure`, answers about validity may be stale.

(Layouts checked against Nix 2.8, 2.26 and 2.34.)
"""

from __future__ import annotations

from typing import Final, Sequence

from nix_remote.protocol import versions
from nix_remote.wire.codec import (
    Decoder,
    WireError,
    encode_bool,
    encode_number,
    encode_texts,
    read_number,
    read_text,
    read_texts,
)
from nix_remote.wire.fields import read_nar_hash, read_optional_store_path, read_store_paths
from nix_remote.wire.types import PathInfo, StorePath, parse_nar_hash

_CLIENT_MAGIC: Final = 0x390C9DEB
SERVER_MAGIC: Final = 0x5452EECB

_QUERY_PATH_INFOS: Final = 2
_QUERY_CLOSURE: Final = 7


def greeting() -> bytes:
    """The first bytes of a session."""
    return encode_number(_CLIENT_MAGIC) + encode_number(versions.SERVE_CLIENT.number)


def read_greeting() -> Decoder[versions.ProtocolVersion]:
    """The server's first bytes; returns the version spoken in this session."""
    magic = yield from read_number()
    if magic != SERVER_MAGIC:
        raise WireError("this is not the serve protocol")
    version = versions.protocol_version((yield from read_number()))
    if version < versions.SERVE_OLDEST or version.major != versions.SERVE_CLIENT.major:
        raise versions.UnsupportedVersion("serve", version, versions.SERVE_OLDEST)
    return min(version, versions.SERVE_CLIENT)


def query_closure(paths: Sequence[StorePath]) -> bytes:
    """Command 7: everything these paths need. A path that is not valid ends the session."""
    return encode_number(_QUERY_CLOSURE) + encode_bool(False) + encode_texts(paths)


def read_closure() -> Decoder[list[StorePath]]:
    """The reply to `query_closure`, sorted by path."""
    return (yield from read_store_paths())


def query_path_infos(paths: Sequence[StorePath]) -> bytes:
    """Command 2: what is registered of those of these paths that are valid."""
    return encode_number(_QUERY_PATH_INFOS) + encode_texts(paths)


def read_path_infos() -> Decoder[list[PathInfo]]:
    """The reply to `query_path_infos`."""
    infos: list[PathInfo] = []
    while True:
        path = yield from read_optional_store_path()
        if path is None:
            return infos
        deriver = yield from read_optional_store_path()
        references = yield from read_store_paths()
        yield from read_number()  # download size
        nar_size = yield from read_number()
        nar_hash = yield from read_nar_hash(parse_nar_hash)
        content_address = yield from read_text()
        signatures = yield from read_texts()
        infos.append(
            PathInfo(
                path,
                nar_hash,
                nar_size,
                tuple(sorted(references)),
                deriver,
                tuple(signatures),
                content_address,
            )
        )
