"""Fetches a server's host key for `setup ssh`, as ssh-keyscan does.

The key is neither verified nor recorded here: the user compares its fingerprint.
"""

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
"""Seconds in addition to ConnectTimeout."""

# `ssh` records the key in a temporary file, and tries no key to log in with.
_KEY_EXCHANGE_ONLY: Final = (
    *("-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=accept-new", "-o", "UpdateHostKeys=no"),
    *("-o", "GlobalKnownHostsFile=/dev/null", "-o", "PreferredAuthentications=none"),
    *("-o", "PubkeyAuthentication=no", "-o", "ControlPath=none", "-o", "LogLevel=DEBUG1"),
    *("-o", "PermitLocalCommand=no", "-o", "RemoteCommand=none", "-o", "ClearAllForwardings=yes"),
)


@dataclass(frozen=True)
class ScannedKey:
    """The host key that a server presented."""

    line: str
    """The known_hosts line, as OpenSSH writes it with this config."""

    @property
    def fingerprint(self) -> str:
        """Key type and SHA-256 fingerprint."""
        return fingerprint(base64.b64decode(self.line.split()[2]))


def scan(
    config: HostConfig, overrides: Sequence[str] = (), config_file: Optional[Path] = None
) -> ScannedKey:
    """Fetches the host key. `overrides` are `Keyword=value`, and override the config.

    Raises `ConnectionFailed` and `SshConfigError`.
    """
    with tempfile.TemporaryDirectory() as folder:
        known = Path(folder, "known_hosts")
        argv = ["ssh", *(("-F", str(config_file)) if config_file else ()), *_KEY_EXCHANGE_ONLY]
        argv += ["-o", f"UserKnownHostsFile={known}"]
        for override in (*overrides, f"ConnectTimeout={max(1, round(config.connect_timeout))}"):
            argv += ["-o", override]
        try:
            running = PolledProcess([*argv, "--", config.alias, "true"], stderr_tail=64 * 1024)
        except ProcessFailed as error:
            raise OpenSshMissing(config.alias, "", str(error)) from None
        try:
            status = running.wait(config.connect_timeout + _BOUND)
            log = running.said.plain
        finally:
            running.end()
        try:
            key = ScannedKey(known.read_text().splitlines()[0])
            if key.fingerprint:
                return key
        except (OSError, IndexError, ValueError, binascii.Error):
            pass
    if status is None:
        raise diagnostics.timed_out(log, config)
    raise diagnostics.failure(log, config)
