"""Runs programs on the server over one connection: finds them, starts them, reads their output."""

from __future__ import annotations

import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import Callable, Final, Sequence

from nix_remote import events
from nix_remote.errors import (
    ConnectionFailed,
    OutputTooLong,
    ServerEndedSession,
    TransferStalled,
)
from nix_remote.server.wait_notices import WaitNotices
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

MAX_OUTPUT: Final = 16 * 1024 * 1024
"""Bytes that a program may print, unless its lines are read one by one."""

_MAX_LINE: Final = 64 * 1024
_READ_SIZE: Final = 64 * 1024


@dataclass(frozen=True)
class Finished:
    """Exit status and output of a program."""

    status: int
    stdout: str
    stderr: str


class RemoteExec:
    """Runs programs on the server, over one connection."""

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
        """From now on, searches for programs in folders beyond the PATH that sshd sets.

        Not from the beginning: an account may be restricted to exactly one plain command.
        """
        self._searching = True

    @property
    def searching(self) -> bool:
        return self._searching

    @property
    def opens_in_order(self) -> bool:
        """As `Transport.opens_in_order`."""
        return self._transport.opens_in_order

    def open(self, command: Sequence[str]) -> Channel:
        """Starts a program; the channel is its standard input and output."""
        return self._transport.open((*_SEARCH, *command) if self._searching else command)

    def run(self, command: Sequence[str], *, stdin: bytes = b"", waiting_for: str) -> Finished:
        """Runs a program until it exits. Raises `ConnectionFailed` and `ServerError`.

        `waiting_for` names the wait in progress messages. Output does not extend the wait: it
        could continue without end.
        """
        output = bytearray()

        def take(data: bytes) -> bool:
            output.extend(data)
            if len(output) > MAX_OUTPUT:
                raise OutputTooLong(self._alias, waiting_for, f"{MAX_OUTPUT} bytes")
            return False

        status, stderr = self._converse(command, stdin, take, waiting_for)
        return Finished(status, PeerText(bytes(output)).plain, stderr)

    def run_lines(
        self,
        command: Sequence[str],
        take: Callable[[str], None],
        *,
        at_most: int,
        stdin: bytes = b"",
        waiting_for: str,
    ) -> Finished:
        """Runs a program until it exits, and calls `take` with each line that it prints.

        A line extends the wait, so there may be `at_most` lines. The output in the `Finished` is
        what follows the last line end. Raises `ConnectionFailed` and `ServerError`.
        """
        rest = b""
        lines = 0

        def split(data: bytes) -> bool:
            nonlocal rest, lines
            *whole, rest = (rest + data).split(b"\n")
            lines += len(whole)
            if lines > at_most or len(rest) > _MAX_LINE:
                raise OutputTooLong(self._alias, waiting_for, f"{at_most} lines")
            for line in whole:
                take(PeerText(line).plain)
            return bool(whole)

        status, stderr = self._converse(command, stdin, split, waiting_for)
        return Finished(status, PeerText(rest).plain, stderr)

    def _converse(
        self,
        command: Sequence[str],
        stdin: bytes,
        take: Callable[[bytes], bool],
        waiting_for: str,
    ) -> tuple[int, str]:
        """Exit status, and the end of standard error. `take` returns whether there was progress."""
        channel = self.open(command)
        # A program may print while it reads its input: neither side may wait for the other.
        sender = threading.Thread(
            target=_send, args=(channel, stdin), name="nix-remote-input", daemon=True
        )
        sender.start()
        try:
            return self._read_all(channel, take, waiting_for)
        finally:
            channel.close()
            sender.join()

    def _read_all(
        self, channel: Channel, take: Callable[[bytes], bool], waiting_for: str
    ) -> tuple[int, str]:
        moved = time.monotonic()
        notices = WaitNotices(self._listener, waiting_for)
        data = b"more"
        while data:
            idle = time.monotonic() - moved
            if idle >= self._stall_timeout:
                raise TransferStalled(self._alias, waiting_for, self._stall_timeout)
            notices.after(idle)
            try:
                data = channel.read(_READ_SIZE)
            except ChannelTimeout:
                continue
            if take(data):
                moved = time.monotonic()
        status = channel.exit_status()
        stderr = channel.stderr_tail().shown()
        if status is None:
            # Killed, or the connection broke: its output is incomplete.
            raise ServerEndedSession(self._alias, f"we waited for {waiting_for}", stderr)
        return status, stderr


def _send(channel: Channel, stdin: bytes) -> None:
    """Writes a program's input, and closes it."""
    rest = memoryview(stdin)
    try:
        while rest:
            with suppress(ChannelTimeout):
                rest = rest[channel.write(rest) :]
        # A restricted account runs another program, which may wait for input.
        channel.close_write()
    except ConnectionFailed:
        return  # the reading thread reports it
