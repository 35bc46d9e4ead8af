"""Which host key a server shows, whoever it is. Nothing is believed and nothing kept of it here."""

from __future__ import annotations

import base64
import binascii
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Optional, Sequence

from nix_remote.errors import OpenSshMissing
from nix_remote.processes import PolledProcess, ProcessFailed
from nix_remote.ssh.config.host_config import HostConfig
from nix_remote.ssh.keys.known_hosts import fingerprint
from nix_remote.ssh.openssh import diagnostics

_BOUND: Final = 10.0
"""Seconds beyond ConnectTimeout."""

# The key is written to a file of ours and the login is not even tried.
_ONLY_THE_KEY: Final = (
    *("-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=accept-new", "-o", "UpdateHostKeys=no"),
    *("-o", "GlobalKnownHostsFile=/dev/null", "-o", "PreferredAuthentications=none"),
    *("-o", "PubkeyAuthentication=no", "-o", "ControlPath=none", "-o", "LogLevel=DEBUG1"),
    *("-o", "PermitLocalCommand=no", "-o", "RemoteCommand=none", "-o", "ClearAllForwardings=yes"),
)


@dataclass(frozen=True)
class ShownKey:
    """The key that a server has shown."""

    line: str
    """For a known_hosts file, as OpenSSH writes it with this config."""

    @property
    def fingerprint(self) -> str:
        """Kind and SHA-256."""
        return fingerprint(base64.b64decode(self.line.split()[2]))


def shown_key(
    config: HostConfig, overrides: Sequence[str] = (), config_file: Optional[Path] = None
) -> ShownKey:
    """Asks the server. `overrides` are `Keyword=value`, and win over the config.

    Raises `ConnectionFailed` and `SshConfigError`.
    """
    with tempfile.TemporaryDirectory() as folder:
        known = Path(folder, "known_hosts")
        argv = ["ssh", *(("-F", str(config_file)) if config_file else ()), *_ONLY_THE_KEY]
        argv += ["-o", f"UserKnownHostsFile={known}"]
        for override in (*overrides, f"ConnectTimeout={max(1, round(config.connect_timeout))}"):
            argv += ["-o", override]
        try:
            asking = PolledProcess([*argv, "--", config.alias, "true"], stderr_tail=64 * 1024)
        except ProcessFailed as error:
            raise OpenSshMissing(config.alias, "", str(error)) from None
        try:
            ended = asking.wait(config.connect_timeout + _BOUND)
            said = asking.said.plain
        finally:
            asking.end()
        try:
            key = ShownKey(known.read_text().splitlines()[0])
            if key.fingerprint:
                return key
        except (OSError, IndexError, ValueError, binascii.Error):
            pass
    if ended is None:
        raise diagnostics.timed_out(said, config)
    raise diagnostics.failure(said, config)
