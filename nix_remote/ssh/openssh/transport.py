"""The other transport: OpenSSH's own `ssh`, which can do all that the user's SSH config says.

One process, the master, connects and logs in once; for every command another
one hands its pipes over to it (`ControlMaster` and `ControlPath` of
ssh_config). Where the user has a master at hand already, that one is used.
Nothing is ever asked: there is no terminal, and `BatchMode` is on.

The master ends with this process, however it ends, and its socket lies in a
folder that nobody else can enter.
"""

from __future__ import annotations

import shlex
import shutil
import tempfile
import time
from pathlib import Path
from typing import Final, Optional, Sequence

from nix_remote.errors import (
    ConnectionBroken,
    InvalidHostAlias,
    NixRemoteError,
    OpenSshMissing,
    ServerBusy,
)
from nix_remote.processes import BoundProcess, PolledProcess, ProcessFailed
from nix_remote.ssh.backoff import GIVE_UP_AFTER, pause_after
from nix_remote.ssh.config.host_config import HostConfig
from nix_remote.ssh.keys import key_files
from nix_remote.ssh.keys.ssh_agent import Agent, AgentUnavailable
from nix_remote.ssh.openssh import diagnostics
from nix_remote.ssh.transport import POLL_SECONDS, Buffer, Channel, ChannelTimeout
from nix_remote.text import PeerText

_DEAD_AFTER: Final = 60
_MASTER_TAIL: Final = 64 * 1024
_LOOK: Final = 0.02
_CHECK_SECONDS: Final = 5.0
_AGENT_SECONDS: Final = 2.0
_SSH_FAILED: Final = 255
"""The status that `ssh` ends with if it is not the command's."""

# `ssh` keeps the bound itself for most steps; ours is for the others, and a little later.
_GRACE: Final = 2.0
_STEPS: Final = 6

# What no configuration may turn on: questions, forwardings, commands of its own. And what
# none may turn off: the words that errors are made of.
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
# The `ssh` of a hop or of a ProxyCommand is not in batch mode; without a terminal it would
# ask in a window.
_NO_WINDOW: Final = ("env", "SSH_ASKPASS_REQUIRE=never")
# A process that finds no master must not log in by itself, as it would.
_ONLY_THROUGH_MASTER: Final = ("-o", "ControlMaster=no", "-o", "ProxyCommand=false")


def connect(config: HostConfig, config_file: Optional[Path] = None) -> OpenSshTransport:
    """Connects and logs in; `config_file` is read instead of the user's and the system's.

    Raises `ConnectionFailed`, `HostKeyError`, `AuthenticationError`, `SshConfigError`.
    """
    if config.alias.startswith("-"):
        raise InvalidHostAlias(config.alias)
    program = ["ssh", *(("-F", str(config_file)) if config_file else ()), *_ALWAYS]
    try:
        if _has_master(program, config):
            return OpenSshTransport(config, program, _UsersMaster(program, config))
        master = _logged_in(program, config)
        return OpenSshTransport(config, [*master.program, *_ONLY_THROUGH_MASTER], master)
    except ProcessFailed as error:
        raise OpenSshMissing(config.alias, "; ".join(config.needs_openssh), str(error)) from None


def _logged_in(program: Sequence[str], config: HostConfig) -> _OwnMaster:
    begun = time.monotonic()
    attempts = 0
    while True:
        attempts += 1
        master = _OwnMaster(program, config)
        try:
            master.log_in()
        except _Dropped:
            master.close()
            waited = time.monotonic() - begun
            if waited > GIVE_UP_AFTER:
                raise ServerBusy(config.alias, config.address, attempts, waited) from None
        except BaseException:
            master.close()
            raise
        else:
            return master
        time.sleep(pause_after(attempts))


def _has_master(program: Sequence[str], config: HostConfig) -> bool:
    """Whether a master process of the user's is there for this host."""
    argv = [*program, "-O", "check", "--", config.alias]
    asking = PolledProcess(argv, environment=config.environment)
    try:
        return asking.wait(_CHECK_SECONDS) == 0
    finally:
        asking.end()


def _make_socket_folder() -> Path:
    # The name of a socket may have about 100 bytes, and `ssh` adds some of its own.
    usual = tempfile.gettempdir()
    base = usual if len(usual) <= 50 else "/tmp"
    return Path(tempfile.mkdtemp(prefix="nix-remote-", dir=base))


class _Dropped(Exception):
    """The server closed the connection at once: too many are logging in."""


class _OwnMaster:
    """The master process that we have started."""

    def __init__(self, program: Sequence[str], config: HostConfig) -> None:
        self._config = config
        self._folder = _make_socket_folder()
        self.program = [*program, "-o", f"ControlPath={self._folder / 'socket'}"]
        bounds = ["-o", f"ConnectTimeout={max(1, round(config.connect_timeout))}"]
        if not config.server_alive_interval:
            bounds += ["-o", f"ServerAliveInterval={_DEAD_AFTER // 4}"]
            bounds += ["-o", "ServerAliveCountMax=3"]
        direct = config.jump is None and config.proxy_command is None
        self._process = BoundProcess(
            [
                *(() if direct else _NO_WINDOW),
                *self.program,
                *bounds,
                *("-o", "LogLevel=DEBUG1", "-o", "ControlMaster=yes"),
                *("-N", "--", config.alias),
            ],
            stderr_tail=_MASTER_TAIL,
            environment=config.environment,
        )

    def log_in(self) -> None:
        """Returns when the connection is there."""
        bound = self._config.connect_timeout + _GRACE
        begun = moved = time.monotonic()
        heard = 0
        # It makes the socket when it has logged in.
        while not (self._folder / "socket").exists():
            if self._process.wait(_LOOK) is not None:
                failure = diagnostics.failure(self._said, self._config, self._public_keys())
                if isinstance(failure, ConnectionBroken) and diagnostics.is_dropped(self._said):
                    raise _Dropped
                raise failure
            now = time.monotonic()
            if self._process.said_count != heard:
                heard, moved = self._process.said_count, now
            # A server that says a little now and then must come to an end as well.
            if now - moved > bound or now - begun > _STEPS * bound:
                raise self._timed_out()

    def _public_keys(self) -> frozenset[str]:
        files = self._config.identity_files
        return frozenset(str(path) for path in files if key_files.is_public(path))

    def _timed_out(self) -> NixRemoteError:
        agent = self._config.agent_socket
        if agent is not None and diagnostics.is_asking_the_agent(self._said):
            # `ssh` waits for an agent without a bound, and does not say so.
            try:
                asked = Agent(agent, _AGENT_SECONDS)
                try:
                    asked.keys()
                finally:
                    asked.close()
            except AgentUnavailable as error:
                return diagnostics.agent_unreachable(self._config, str(error))
        return diagnostics.timed_out(self._said, self._config)

    @property
    def _said(self) -> str:
        return self._process.said.plain

    @property
    def description(self) -> str:
        return diagnostics.description(self._said)

    def why_gone(self) -> Optional[str]:
        """Why the connection is not there any more; None if it is."""
        if self._process.wait(POLL_SECONDS) is None:
            return None
        return diagnostics.last_words(self._said)

    def close(self) -> None:
        self._process.end()
        shutil.rmtree(self._folder, ignore_errors=True)


class _UsersMaster:
    """A master process that was there before us, and stays."""

    description = "openssh, through a connection that was open already"

    def __init__(self, program: Sequence[str], config: HostConfig) -> None:
        self._program = program
        self._config = config

    def why_gone(self) -> Optional[str]:
        """Why the connection is not there any more; None if it is."""
        there = _has_master(self._program, self._config)
        return None if there else "the connection that was used is closed"

    def close(self) -> None:
        """It is not ours."""


class OpenSshTransport:
    """A connection over `ssh`, logged in. Made by `connect`."""

    opens_in_order = False
    """A process of its own asks for each session."""

    def __init__(
        self, config: HostConfig, program: Sequence[str], master: _OwnMaster | _UsersMaster
    ) -> None:
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
    def __init__(
        self, process: PolledProcess, master: _OwnMaster | _UsersMaster, alias: str
    ) -> None:
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
        # A command that ended by itself has a status of its own, most of the time.
        if self.exit_status() not in (None, _SSH_FAILED):
            return
        why = self._master.why_gone()
        if why is not None:
            raise ConnectionBroken(self._alias, "a command was running there", why)

    def close_write(self) -> None:
        self._process.close_input()

    def close(self) -> None:
        self._process.end()

    def stderr_tail(self) -> PeerText:
        return self._process.said

    def exit_status(self) -> Optional[int]:
        # It arrives a moment after the end of the output.
        return self._process.wait(POLL_SECONDS)
