"""Reads a closure through the local `nix-store --serve`, which works for every store.

It is slower than the database because it starts a process, but works for any user, any schema,
and any store that `NIX_REMOTE` names.
"""

from __future__ import annotations

from typing import Final, Sequence

from nix_remote.local.session import LocalSession
from nix_remote.processes import process
from nix_remote.protocol import serve
from nix_remote.store.paths import PathInfo, StorePath

_COMMAND: Final = ("nix-store", "--serve")


def closure_infos(roots: Sequence[StorePath]) -> dict[StorePath, PathInfo]:
    """The infos of every path in the closure of `roots`.

    A root that is not valid is not in the result. Raises `ProcessFailed` or `WireError` if Nix
    cannot be queried.
    """
    with process(_COMMAND) as nix:
        session = LocalSession(serve.ServeConversation(), nix.read, nix.write)
        # To query the closure of a root that is not valid would end the session.
        (valid,) = session.ask(serve.QueryPathInfos(tuple(roots)))
        (closure,) = session.ask(serve.QueryClosure(tuple(info.path for info in valid)))
        (infos,) = session.ask(serve.QueryPathInfos(tuple(closure)))
    return {info.path: info for info in infos}
