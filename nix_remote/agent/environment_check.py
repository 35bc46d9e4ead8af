"""Checks that a client's environment equals the agent's, as far as the local store reads it.

The agent starts Nix programs of the local store in its own environment. A client whose environment
differs in the variables that they read has to copy alone.
"""

from __future__ import annotations

import shutil
from typing import Final, Mapping, Optional

from nix_remote.agent.client_connection import Declined

_HOME: Final = "HOME"
_OF_NIX: Final = "NIX_"
_OURS: Final = "NIX_REMOTE_"
_OF_SHELLS: Final = frozenset(
    {"NIX_PATH", "NIX_PROFILES", "NIX_SSL_CERT_FILE", "NIX_USER_PROFILE_DIR"}
)
"""Nix sets these in login shells, services do not have them. They are about evaluation and
downloads, which nix_remote does not do."""
_PATH: Final = "PATH"
_LOCAL_PROGRAM: Final = "nix-store"


def check(clients: Mapping[str, str], own: Mapping[str, str]) -> None:
    """Raises `Declined` if the client's environment differs in a variable that counts."""
    names = {*clients, *own} - _OF_SHELLS
    needed = [_HOME]
    needed += [name for name in names if name.startswith(_OF_NIX) and not name.startswith(_OURS)]
    for name in needed:
        if clients.get(name) != own.get(name):
            raise Declined(f"{name} differs from the agent's")
    if _found(_LOCAL_PROGRAM, clients) != _found(_LOCAL_PROGRAM, own):
        raise Declined(f"PATH has another {_LOCAL_PROGRAM} than the agent's")


def _found(program: str, environment: Mapping[str, str]) -> Optional[str]:
    return shutil.which(program, path=environment.get(_PATH))
