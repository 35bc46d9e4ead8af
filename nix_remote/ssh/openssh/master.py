"""The master process of `ssh`: one connection and login, which all commands share.

A master that the user already has is used and left running (`ControlPath` of ssh_config).
Otherwise this starts one of its own, which ends with this process in every case; its socket is
in a folder that only this user can enter. Commands over the connection are in `transport.py`.
"""

from __future__ import annotations

import shutil
import tempfile
import time
from pathlib import Path
from typing import Final, Optional, Sequence, Union

from nix_remote.errors import ConnectionBroken, NixRemoteError
from nix_remote.processes import BoundProcess, PolledProcess
from nix_remote.ssh.backoff import DroppedBeforeGreeting, retry_while_dropped
from nix_remote.ssh.config.host_config import HostConfig
from nix_remote.ssh.keys import key_files, ssh_agent
from nix_remote.ssh.openssh import diagnostics
from nix_remote.ssh.transport import POLL_SECONDS

_DEAD_AFTER: Final = 60
_LOG_TAIL: Final = 64 * 1024
_SOCKET_POLL_SECONDS: Final = 0.02
_CHECK_SECONDS: Final = 5.0
_LONGEST_FOLDER_NAME: Final = 50

# `ssh` applies ConnectTimeout to most steps itself; ours covers the others, a little later.
_GRACE: Final = 2.0
_STEPS: Final = 6

# The `ssh` of a jump host or a ProxyCommand is not in batch mode: without a terminal it would
# open a window to ask for a passphrase.
_NO_WINDOW: Final = ("env", "SSH_ASKPASS_REQUIRE=never")


class OwnMaster:
    """A master process that we started."""

    def __init__(self, program: Sequence[str], config: HostConfig) -> None:
        """Starts it. Raises `ProcessFailed`."""
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
            stderr_tail=_LOG_TAIL,
            environment=config.environment,
        )

    def log_in(self) -> None:
        """Waits until it has logged in. Raises `NixRemoteError` and `DroppedBeforeGreeting`."""
        bound = self._config.connect_timeout + _GRACE
        begun = moved = time.monotonic()
        log_size = 0
        # The master creates its socket after the login.
        while not (self._folder / "socket").exists():
            if self._process.wait(_SOCKET_POLL_SECONDS) is not None:
                failure = diagnostics.failure(self._log, self._config, self._public_keys())
                if isinstance(failure, ConnectionBroken) and diagnostics.is_dropped(self._log):
                    raise DroppedBeforeGreeting
                raise failure
            now = time.monotonic()
            if self._process.said_count != log_size:
                log_size, moved = self._process.said_count, now
            # The second bound ends a login to a server that sends a little now and then.
            if now - moved > bound or now - begun > _STEPS * bound:
                raise self._timed_out()

    def _public_keys(self) -> frozenset[str]:
        files = self._config.identity_files
        return frozenset(str(path) for path in files if key_files.is_public(path))

    def _timed_out(self) -> NixRemoteError:
        socket = self._config.agent_socket
        if socket is not None and diagnostics.may_wait_for_agent(self._log):
            # `ssh` waits for an SSH agent without a bound, and logs nothing about it.
            try:
                ssh_agent.probe(socket)
            except ssh_agent.AgentUnavailable as error:
                return diagnostics.agent_unreachable(self._config, str(error))
        return diagnostics.timed_out(self._log, self._config)

    @property
    def _log(self) -> str:
        return self._process.said.plain

    @property
    def description(self) -> str:
        """How the connection is made, for messages."""
        return diagnostics.description(self._log)

    def why_ended(self) -> Optional[str]:
        """Why the connection has ended; None if it has not."""
        if self._process.wait(POLL_SECONDS) is None:
            return None
        return diagnostics.last_message(self._log)

    def close(self) -> None:
        """Ends the process. Safe to repeat."""
        self._process.end()
        shutil.rmtree(self._folder, ignore_errors=True)


class UsersMaster:
    """A master process that the user started; it is left running."""

    description = "openssh, over an existing connection"

    def __init__(self, program: Sequence[str], config: HostConfig) -> None:
        self._program = program
        self._config = config

    def why_ended(self) -> Optional[str]:
        """Why the connection has ended; None if it has not."""
        runs = users_master_runs(self._program, self._config)
        return None if runs else "the existing connection was closed"

    def close(self) -> None:
        """Does nothing: the process is not ours."""


Master = Union[OwnMaster, UsersMaster]


def log_in(program: Sequence[str], config: HostConfig) -> OwnMaster:
    """Starts a master process that has logged in. Raises `NixRemoteError` and `ProcessFailed`."""

    def attempt() -> OwnMaster:
        master = OwnMaster(program, config)
        try:
            master.log_in()
        except BaseException:
            master.close()
            raise
        return master

    return retry_while_dropped(attempt, config.alias, config.address)


def users_master_runs(program: Sequence[str], config: HostConfig) -> bool:
    """Whether a master process of the user's runs for this host. Raises `ProcessFailed`."""
    argv = [*program, "-O", "check", "--", config.alias]
    check = PolledProcess(argv, environment=config.environment)
    try:
        return check.wait(_CHECK_SECONDS) == 0
    finally:
        check.end()


def _make_socket_folder() -> Path:
    # The path of a socket may have about 100 bytes, and `ssh` appends some of its own.
    usual = tempfile.gettempdir()
    base = usual if len(usual) <= _LONGEST_FOLDER_NAME else "/tmp"
    return Path(tempfile.mkdtemp(prefix="nix-remote-", dir=base))
