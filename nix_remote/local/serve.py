"""The way to a closure that always works: a `nix-store --serve` of this machine.

Slower than the database by the start of a process, but it is Nix itself that
answers: any user, any schema, any store that `NIX_REMOTE` names.
"""

from __future__ import annotations

from typing import BinaryIO, Final, Sequence, TypeVar

from nix_remote.errors import LocalStoreUnavailable
from nix_remote.processes import ProcessFailed, dialogue
from nix_remote.protocol import serve
from nix_remote.wire.codec import Decoder, Feed, WireError
from nix_remote.wire.types import PathInfo, StorePath

T = TypeVar("T")

_COMMAND: Final = ("nix-store", "--serve")
_READ_SIZE: Final = 64 * 1024


def closure_infos(roots: Sequence[StorePath]) -> dict[StorePath, PathInfo]:
    """What is registered of every path in the closure of `roots`.

    A root that is not valid is simply not in the result. Raises
    `LocalStoreUnavailable`.
    """
    try:
        with dialogue(_COMMAND) as nix:

            def ask(request: bytes, reply: Decoder[T]) -> T:
                nix.stdin.write(request)
                nix.stdin.flush()
                return _receive(nix.stdout, reply)

            ask(serve.greeting(), serve.read_greeting())
            # A root that is not valid would end the session if its closure were asked for.
            valid = ask(serve.query_path_infos(roots), serve.read_path_infos())
            closure = ask(serve.query_closure([info.path for info in valid]), serve.read_closure())
            infos = ask(serve.query_path_infos(closure), serve.read_path_infos())
    except (ProcessFailed, WireError) as error:
        raise LocalStoreUnavailable(str(error)) from None
    return {info.path: info for info in infos}


def _receive(stream: BinaryIO, reply: Decoder[T]) -> T:
    feed = Feed(reply)
    while not feed.done:
        # Nothing follows a reply until the next request, so this cannot read too far.
        data = stream.read1(_READ_SIZE)  # type: ignore[attr-defined]  # a BufferedReader
        if not data:
            raise EOFError("it ended too early")
        feed.push(data)
    return feed.result
