"""Which of the two transports makes the connection to a host.

`auto` takes paramiko first. Where paramiko falls short for a reason that may be its own, `ssh`
is tried once: what works with `ssh` works here.
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
    """Connects and logs in; also returns why that transport was chosen, in words, if there is why.

    `config_file` is read instead of the user's and the system's. Raises
    `NixRemoteError`.
    """
    return Connector(config, choice, config_file).connect()


class Connector:
    """Connects to a host as often as is needed, and remembers where paramiko fell short later on.

    A connection can end hours after the login because paramiko cannot go on, when the server
    wants new keys by another algorithm for instance. The next one is made by `ssh`.
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
            return openssh_transport.connect(config, self._config_file), "asked for"
        automatic = self._choice is TransportChoice.AUTO
        try:
            why = self._last.shortfall if automatic and self._last is not None else ""
            if why:
                raise Unsupported(why, ConnectionBroken(config.alias, "it was used", why))
            self._last = paramiko_transport.connect(config)
            return self._last, ""
        except Unsupported as found:
            shortfall = found
        if not automatic:
            raise shortfall.error
        try:
            return openssh_transport.connect(config, self._config_file), shortfall.why
        except NixRemoteError as failure:
            raise clearer(shortfall.error, failure) from None


def clearer(with_paramiko: NixRemoteError, with_ssh: NixRemoteError) -> NixRemoteError:
    """Of the failures of both transports, the one that says more.

    `ssh` is the measure of what can work, so its word counts, unless it has none: it is not
    there, or says only that the connection broke.
    """
    if isinstance(with_ssh, OpenSshMissing):
        # A configuration that only `ssh` can follow says nothing about a machine without it.
        return with_ssh if isinstance(with_paramiko, SshConfigUnsupported) else with_paramiko
    if isinstance(with_ssh, ConnectionBroken) and not isinstance(with_paramiko, ConnectionBroken):
        return with_paramiko
    return with_ssh
