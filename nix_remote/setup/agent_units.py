"""Units with which the user's service manager, systemd, starts the agent when somebody comes.

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
    """What is to be started, and what it finds there."""

    program: str
    """nix-remote itself, absolute."""
    search_path: str
    """The `PATH` of those who will use it."""


def bundle(plan: AgentPlan) -> Bundle:
    """The units. Raises `SetupInputUnusable`."""
    service = _SERVICE.format(
        program=inputs.absolute_file(plan.program, "--program"),
        path=quoting.systemd(inputs.line(plan.search_path, "PATH")),
    )
    return Bundle(
        (File(f"{UNIT}.socket", _SOCKET), File(f"{UNIT}.service", service)),
        "they belong into ~/.config/systemd/user (--write puts them there); then:\n"
        f"  systemctl --user daemon-reload && systemctl --user enable --now {UNIT}.socket",
    )


_SOCKET: Final = """\
# Where copies look for an agent. systemd listens here, and the first copy that comes starts the
# service of the same name.
[Unit]
Description=Socket of the nix-remote agent

[Socket]
# The runtime folder of this user: what XDG_RUNTIME_DIR says.
ListenStream=%t/nix-remote/agent.socket
# Nobody else may come. A folder that others may enter, copies do not trust.
SocketMode=0600
DirectoryMode=0700

[Install]
# Whenever this user has a service manager: from the first login on.
WantedBy=sockets.target
"""

_SERVICE: Final = """\
# One process that copies for all invocations of this user. The socket of the same name starts it.
[Unit]
Description=nix-remote agent

[Service]
# It takes the socket over, and leaves when nobody has come for NIX_REMOTE_AGENT_IDLE seconds (60).
# It has to be the version that copies: it works for no other one.
ExecStart={program} agent run
# Where a shell of this user finds nix-store. Copies that would find another one do without the
# agent.
Environment="PATH={path}"
# Told to stop, it finishes the copies that have begun: the ssh that they need is not told.
KillMode=mixed
# Then it is ended all the same. Those who still wait go on without it, and nothing is half done.
TimeoutStopSec=90
"""
