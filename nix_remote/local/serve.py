"""The way to a closure that works for every store: a `nix-store --serve` of this machine.

Slower than the database by the start of a process, but it is Nix itself that
answers: any user, any schema, any store that `NIX_REMOTE` names.
"""

from __future__ import annotations

from typing import Final, Sequence

from nix_remote.local.session import LocalSession
from nix_remote.processes import process
from nix_remote.protocol import serve
from nix_remote.store.paths import PathInfo, StorePath

_COMMAND: Final = ("nix-store", "--serve")


def closure_infos(roots: Sequence[StorePath]) -> dict[StorePath, PathInfo]:
    """What is registered of every path in the closure of `roots`.

    A root that is not valid is simply not in the result. Raises
    `ProcessFailed` or `WireError` if Nix cannot be asked.
    """
    with process(_COMMAND) as nix:
        session = LocalSession(serve.ServeConversation(), nix.read, nix.write)
        # A root that is not valid would end the session if its closure were asked for.
        (valid,) = session.ask(serve.QueryPathInfos(tuple(roots)))
        (closure,) = session.ask(serve.QueryClosure(tuple(info.path for info in valid)))
        (infos,) = session.ask(serve.QueryPathInfos(tuple(closure)))
    return {info.path: info for info in infos}
