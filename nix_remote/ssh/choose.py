"""Which of the two transports makes the connection to a host."""

from __future__ import annotations

from pathlib import Path
from typing import Optional

from nix_remote.errors import SshConfigUnsupported
from nix_remote.settings import TransportChoice
from nix_remote.ssh import openssh_transport, paramiko_transport
from nix_remote.ssh.config import HostConfig
from nix_remote.ssh.transport import Transport


def connect(
    config: HostConfig, choice: TransportChoice, user_config: Optional[Path] = None
) -> tuple[Transport, str]:
    """Connects and logs in; also returns why that transport was chosen, in words, if there is why.

    `user_config` is another SSH config file than the user's own. Raises
    `NixRemoteError`.
    """
    reasons = "; ".join(config.needs_openssh)
    if choice is TransportChoice.OPENSSH:
        return openssh_transport.connect(config, user_config), "asked for"
    if not reasons:
        return paramiko_transport.connect(config), ""
    if choice is TransportChoice.PARAMIKO:
        where = config.entry_found_in or str(user_config or "the SSH configuration")
        raise SshConfigUnsupported(config.alias, reasons, where)
    return openssh_transport.connect(config, user_config), f"needed for {reasons}"
