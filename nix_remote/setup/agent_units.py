"""Units for the user's systemd, which starts the agent at the first connection.

Pure.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from nix_remote.setup import inputs, quoting
from nix_remote.setup.bundle import Bundle, File

UNIT: Final = "nix-remote-agent"


@dataclass(frozen=True)
class AgentPlan:
    """The program that is started, and its environment."""

    program: str
    """The absolute path of nix-remote."""
    search_path: str
    """The `PATH` of the agent's clients."""


def bundle(plan: AgentPlan) -> Bundle:
    """The units. Raises `SetupInputUnusable`."""
    service = _SERVICE.format(
        program=inputs.absolute_file(plan.program, "--program"),
        path=quoting.systemd(inputs.line(plan.search_path, "PATH")),
    )
    return Bundle(
        (File(f"{UNIT}.socket", _SOCKET), File(f"{UNIT}.service", service)),
        "put them into ~/.config/systemd/user (--write does that), then:\n"
        f"  systemctl --user daemon-reload && systemctl --user enable --now {UNIT}.socket",
    )


_SOCKET: Final = """\
# The socket where clients connect to the agent. systemd listens on it, and starts the service of
# the same name at the first connection.
[Unit]
Description=Socket of the nix-remote agent

[Socket]
# Below the user's runtime folder, XDG_RUNTIME_DIR.
ListenStream=%t/nix-remote/agent.socket
# Only this user may connect. Clients reject a socket in a folder that others can enter.
SocketMode=0600
DirectoryMode=0700

[Install]
# From the first login of this user on.
WantedBy=sockets.target
"""

_SERVICE: Final = """\
# One process that copies for all invocations of this user. The socket of the same name starts it.
[Unit]
Description=nix-remote agent

[Service]
# The agent takes over the socket, and exits after NIX_REMOTE_AGENT_IDLE seconds (60) without a
# client. It must have the same version as its clients.
ExecStart={program} agent run
# The PATH where a shell of this user finds nix-store. The agent declines clients that would find
# another nix-store.
Environment="PATH={path}"
# On SIGTERM, the agent finishes the copies that have begun. Their ssh processes get no signal.
KillMode=mixed
# After that time it is killed. Waiting clients continue without it, and no copy is half done.
TimeoutStopSec=90
"""
