"""Which of the two transports makes the connection to a host."""

from __future__ import annotations

from pathlib import Path
from typing import Optional

from nix_remote.errors import AuthenticationError, OpenSshMissing, SshConfigUnsupported
from nix_remote.settings import TransportChoice
from nix_remote.ssh import openssh_transport, paramiko_transport
from nix_remote.ssh.config import HostConfig
from nix_remote.ssh.transport import Transport


def connect(
    config: HostConfig, choice: TransportChoice, config_file: Optional[Path] = None
) -> tuple[Transport, str]:
    """Connects and logs in; also returns why that transport was chosen, in words, if there is why.

    `config_file` is read instead of the user's and the system's. Raises
    `NixRemoteError`.
    """
    if choice is TransportChoice.OPENSSH:
        return openssh_transport.connect(config, config_file), "asked for"
    try:
        return paramiko_transport.connect(config), ""
    except SshConfigUnsupported as unsupported:
        if choice is TransportChoice.PARAMIKO:
            raise
        return openssh_transport.connect(config, config_file), f"needed for {unsupported.why}"
    except AuthenticationError:
        if choice is TransportChoice.PARAMIKO or not config.tries_kerberos:
            raise
        try:
            transport = openssh_transport.connect(config, config_file)
        except OpenSshMissing:
            pass
        else:
            return transport, "no key let us in, and GSSAPIAuthentication is on"
        raise
