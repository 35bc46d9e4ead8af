"""Whether the programs of the local store would see the same environment for a client.

The agent starts them in its own environment: a client whose environment differs in what they
read must copy by itself.
"""

from __future__ import annotations

import shutil
from typing import Final, Mapping, Optional

from nix_remote.agent.server import Declined

# What the programs of the local store read, which get the environment of this process.
_OF_CHILDREN: Final = "HOME"
_OF_NIX: Final = "NIX_"
_OURS: Final = "NIX_REMOTE_"
_OF_SHELLS: Final = frozenset(
    {"NIX_PATH", "NIX_PROFILES", "NIX_SSL_CERT_FILE", "NIX_USER_PROFILE_DIR"}
)
"""What Nix sets in login shells, and no service has: about evaluating and downloading, which
we do not."""
_SEARCHED: Final = "PATH"
_LOCAL_PROGRAM: Final = "nix-store"


def check(clients: Mapping[str, str], own: Mapping[str, str]) -> None:
    """Raises `Declined` if the client's environment differs in what matters."""
    names = {*clients, *own} - _OF_SHELLS
    needed = [_OF_CHILDREN]
    needed += [name for name in names if name.startswith(_OF_NIX) and not name.startswith(_OURS)]
    for name in needed:
        if clients.get(name) != own.get(name):
            raise Declined(f"{name} differs from the agent's")
    if _found(_LOCAL_PROGRAM, clients) != _found(_LOCAL_PROGRAM, own):
        raise Declined(f"PATH leads to another {_LOCAL_PROGRAM} than the agent's")


def _found(program: str, environment: Mapping[str, str]) -> Optional[str]:
    return shutil.which(program, path=environment.get(_SEARCHED))
