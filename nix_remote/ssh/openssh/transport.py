"""The transport over OpenSSH's `ssh` program, which supports every SSH config.

A master process connects and logs in once; each command is a further `ssh` process that passes
its pipes to the master (`ControlMaster` and `ControlPath` of ssh_config). No process asks a
question: there is no terminal, and `BatchMode` is on.
"""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Final, Optional, Sequence

from nix_remote.errors import ConnectionBroken, InvalidHostAlias, OpenSshMissing
from nix_remote.processes import PolledProcess, ProcessFailed
from nix_remote.ssh.config.host_config import HostConfig
from nix_remote.ssh.openssh.master import Master, UsersMaster, log_in, users_master_runs
from nix_remote.ssh.transport import POLL_SECONDS, Buffer, Channel, ChannelTimeout
from nix_remote.text import PeerText

_SSH_FAILED: Final = 255
"""The exit status of `ssh` itself, as opposed to that of the command."""

# No config may enable questions, forwardings or commands of its own.
_ALWAYS: Final = (
    "-T",
    *("-o", "BatchMode=yes"),
    *("-o", "ClearAllForwardings=yes"),
    *("-o", "ForwardAgent=no"),
    *("-o", "ForwardX11=no"),
    *("-o", "Tunnel=no"),
    *("-o", "PermitLocalCommand=no"),
    *("-o", "RemoteCommand=none"),
    *("-o", "ControlPersist=no"),
)
# Without these, a process that finds no master would log in by itself.
_ONLY_THROUGH_MASTER: Final = ("-o", "ControlMaster=no", "-o", "ProxyCommand=false")


def connect(config: HostConfig, config_file: Optional[Path] = None) -> OpenSshTransport:
    """Connects and logs in; `config_file` replaces the user's and the system's config.

    Raises `ConnectionFailed`, `HostKeyError`, `AuthenticationError`, `SshConfigError`.
    """
    if config.alias.startswith("-"):
        raise InvalidHostAlias(config.alias)
    program = ["ssh", *(("-F", str(config_file)) if config_file else ()), *_ALWAYS]
    try:
        if users_master_runs(program, config):
            return OpenSshTransport(config, program, UsersMaster(program, config))
        master = log_in(program, config)
        return OpenSshTransport(config, [*master.program, *_ONLY_THROUGH_MASTER], master)
    except ProcessFailed as error:
        raise OpenSshMissing(config.alias, "; ".join(config.needs_openssh), str(error)) from None


class OpenSshTransport:
    """A connection over `ssh`, logged in; see `connect`."""

    opens_in_order = False
    """A separate process requests each session."""

    def __init__(self, config: HostConfig, program: Sequence[str], master: Master) -> None:
        self._config = config
        self._program = program
        self._master = master
        self._channels: list[_OpenSshChannel] = []

    @property
    def description(self) -> str:
        return self._master.description

    def open(self, command: Sequence[str]) -> Channel:
        alias = self._config.alias
        argv = [*self._program, "-o", "LogLevel=ERROR", "--", alias, shlex.join(command)]
        try:
            process = PolledProcess(argv, environment=self._config.environment)
        except ProcessFailed as error:
            raise ConnectionBroken(alias, "starting a command", str(error)) from None
        channel = _OpenSshChannel(process, self._master, alias)
        self._channels.append(channel)
        return channel

    def close(self) -> None:
        for channel in self._channels:
            channel.close()
        self._master.close()


class _OpenSshChannel:
    def __init__(self, process: PolledProcess, master: Master, alias: str) -> None:
        self._process = process
        self._master = master
        self._alias = alias

    def read(self, limit: int) -> bytes:
        try:
            data = self._process.read(limit, POLL_SECONDS)
        except TimeoutError:
            raise ChannelTimeout from None
        if not data:
            self._check_connection()
        return data

    def write(self, data: Buffer) -> int:
        try:
            return self._process.write(data, POLL_SECONDS)
        except TimeoutError:
            raise ChannelTimeout from None
        except BrokenPipeError:
            self._check_connection()
            raise ConnectionBroken(self._alias, "sending", "the command has ended") from None

    def _check_connection(self) -> None:
        # Most commands that end by themselves have another exit status.
        if self.exit_status() not in (None, _SSH_FAILED):
            return
        why = self._master.why_ended()
        if why is not None:
            raise ConnectionBroken(self._alias, "a command was running", why)

    def close_write(self) -> None:
        self._process.close_input()

    def close(self) -> None:
        self._process.end()

    def stderr_tail(self) -> PeerText:
        return self._process.said

    def exit_status(self) -> Optional[int]:
        # The process ends a moment after its output.
        return self._process.wait(POLL_SECONDS)
