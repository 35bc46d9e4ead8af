"""Reads a closure from the socket of the local Nix daemon, if all other ways fail.

For machines where no Nix program is on the PATH. The worker protocol has no request for a whole
closure, so it is queried level by level.
"""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Final, Sequence

from nix_remote.local.session import LocalSession
from nix_remote.protocol import worker
from nix_remote.protocol.worker_conversation import WorkerConversation
from nix_remote.store.paths import PathInfo, StorePath

_TIMEOUT: Final = 60.0


def closure_infos(state_directory: Path, roots: Sequence[StorePath]) -> dict[StorePath, PathInfo]:
    """The infos of every path in the closure of `roots`.

    A root that is not valid is not in the result. Raises `OSError`, `EOFError` or `WireError` if
    the daemon cannot be queried.
    """
    address = state_directory / "daemon-socket" / "socket"
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(_TIMEOUT)
        connection.connect(str(address))
        session = LocalSession(WorkerConversation(), connection.recv, connection.sendall)
        infos: dict[StorePath, PathInfo] = {}
        asked = set(roots)
        level = list(asked)
        while level:
            answers = session.ask(*map(worker.QueryPathInfo, level))
            found = [info for info in answers if info is not None]
            infos.update((info.path, info) for info in found)
            level = sorted({path for info in found for path in info.references} - asked)
            asked.update(level)
    return infos
