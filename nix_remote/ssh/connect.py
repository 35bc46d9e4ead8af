"""Chooses the transport that connects to a host.

`auto` tries paramiko first. If paramiko fails and the cause may be paramiko itself, `auto` tries
`ssh` once: every host that `ssh` can connect to works here.
"""

from __future__ import annotations

from pathlib import Path
from typing import Optional

from nix_remote.errors import (
    ConnectionBroken,
    NixRemoteError,
    OpenSshMissing,
    SshConfigUnsupported,
)
from nix_remote.settings import TransportChoice
from nix_remote.ssh.config.host_config import HostConfig
from nix_remote.ssh.openssh import transport as openssh_transport
from nix_remote.ssh.paramiko import transport as paramiko_transport
from nix_remote.ssh.paramiko.transport import ParamikoTransport
from nix_remote.ssh.paramiko.unsupported import Unsupported
from nix_remote.ssh.transport import Transport


def connect(
    config: HostConfig, choice: TransportChoice, config_file: Optional[Path] = None
) -> tuple[Transport, str]:
    """Connects and logs in; also returns why the transport was chosen, if there is a reason.

    `config_file` replaces the user's and the system's config. Raises `NixRemoteError`.
    """
    return Connector(config, choice, config_file).connect()


class Connector:
    """Connects to a host repeatedly.

    paramiko may end a connection hours after the login, for instance when the server demands a
    key exchange with another algorithm. The next connection is then made by `ssh`.
    """

    def __init__(
        self, config: HostConfig, choice: TransportChoice, config_file: Optional[Path] = None
    ) -> None:
        self.config = config
        self._choice = choice
        self._config_file = config_file
        self._last: Optional[ParamikoTransport] = None

    def connect(self) -> tuple[Transport, str]:
        """See `connect`."""
        config = self.config
        if self._choice is TransportChoice.OPENSSH:
            return openssh_transport.connect(config, self._config_file), "requested"
        automatic = self._choice is TransportChoice.AUTO
        try:
            why = self._last.why_unsupported if automatic and self._last is not None else ""
            if why:
                raise Unsupported(why, ConnectionBroken(config.alias, "it was in use", why))
            self._last = paramiko_transport.connect(config)
            return self._last, ""
        except Unsupported as raised:
            unsupported = raised
        if not automatic:
            raise unsupported.error
        try:
            return openssh_transport.connect(config, self._config_file), unsupported.why
        except NixRemoteError as failure:
            raise more_specific(unsupported.error, failure) from None


def more_specific(with_paramiko: NixRemoteError, with_ssh: NixRemoteError) -> NixRemoteError:
    """The more specific one of the errors of both transports.

    `ssh` is the reference, so its error counts, unless `ssh` is not installed or only reports a
    broken connection.
    """
    if isinstance(with_ssh, OpenSshMissing):
        # If the config needs `ssh`, the error to show is that `ssh` is missing.
        return with_ssh if isinstance(with_paramiko, SshConfigUnsupported) else with_paramiko
    if isinstance(with_ssh, ConnectionBroken) and not isinstance(with_paramiko, ConnectionBroken):
        return with_paramiko
    return with_ssh
