"""Nix programs on the server: finding them, talking to them, running them to their end."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Final, Sequence

from nix_remote import events
from nix_remote.errors import ServerEndedSession, TransferStalled
from nix_remote.remote.notices import Notices
from nix_remote.ssh.transport import Channel, ChannelTimeout, Transport
from nix_remote.text import PeerText

# sshd gives a login without a terminal a short PATH, and reads no profile.
_USUAL_PLACES: Final = (
    "/run/current-system/sw/bin",
    "/nix/var/nix/profiles/default/bin",
    "$HOME/.nix-profile/bin",
    "$HOME/.local/state/nix/profile/bin",
    "/usr/local/bin",
)
_SEARCH: Final = ("sh", "-c", f'PATH="$PATH:{":".join(_USUAL_PLACES)}"; exec "$@"', "nix-remote")

_MAX_OUTPUT: Final = 16 * 1024 * 1024
_READ_SIZE: Final = 64 * 1024


@dataclass(frozen=True)
class Finished:
    """What a program left behind."""

    status: int
    stdout: str
    stderr: str


class Programs:
    """The server's Nix programs, over one connection."""

    def __init__(
        self,
        transport: Transport,
        *,
        alias: str,
        stall_timeout: float,
        listener: events.Listener,
    ) -> None:
        self._transport = transport
        self._alias = alias
        self._stall_timeout = stall_timeout
        self._listener = listener
        self._searching = False

    def search_usual_places(self) -> None:
        """From now on, looks for programs beyond the PATH that sshd gives.

        Not from the beginning: an account may be restricted to exactly one
        plain command.
        """
        self._searching = True

    @property
    def searching(self) -> bool:
        return self._searching

    def open(self, command: Sequence[str]) -> Channel:
        """Starts a program to talk to."""
        return self._transport.open((*_SEARCH, *command) if self._searching else command)

    def run(self, command: Sequence[str], *, stdin: bytes = b"", waiting_for: str) -> Finished:
        """Runs a program to its end. Raises `ConnectionFailed` and `ServerEndedSession`.

        `waiting_for` is what a person is told while nothing happens.
        """
        channel = self.open(command)
        try:
            return self._converse(channel, stdin, waiting_for)
        finally:
            channel.close()

    def _converse(self, channel: Channel, stdin: bytes, waiting_for: str) -> Finished:
        output = bytearray()
        rest = memoryview(stdin)
        input_open = True
        begun = time.monotonic()
        notices = Notices(self._listener, waiting_for)
        data = b"more"
        while data:
            # Output does not make a difference: it could go on for ever.
            idle = time.monotonic() - begun
            if idle >= self._stall_timeout:
                raise TransferStalled(self._alias, waiting_for, self._stall_timeout)
            notices.after(idle)
            try:
                if rest:
                    rest = rest[channel.write(rest) :]
                    continue
                if input_open:
                    # A restricted account runs something else, which may wait for input.
                    channel.close_write()
                    input_open = False
                data = channel.read(_READ_SIZE)
            except ChannelTimeout:
                continue
            output = (output + data)[:_MAX_OUTPUT]
        status = channel.exit_status()
        said = channel.stderr_tail().shown()
        if status is None:
            # Killed, or cut off: what it printed so far means nothing.
            raise ServerEndedSession(self._alias, f"we waited for {waiting_for}", said)
        return Finished(status, PeerText(bytes(output)).plain, said)
