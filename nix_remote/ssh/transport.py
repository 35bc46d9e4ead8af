"""The seam between nix_remote and SSH: everything above it knows only these two interfaces.

A `Transport` is a connection to a host, logged in; `open` runs a command
there and gives the `Channel` to it. Both implementations and tests keep to
what is written here, and raise nothing but `nix_remote.errors`, except for
`ChannelTimeout`.
"""

from __future__ import annotations

from typing import Final, Optional, Protocol, Sequence, Union

from nix_remote.text import PeerText

POLL_SECONDS: Final = 0.5
"""How long a read or a write waits before it gives its caller a chance to look around."""

Buffer = Union[bytes, bytearray, memoryview]


class ChannelTimeout(Exception):
    """Nothing could be read or written for `POLL_SECONDS`. Not an error: try again."""


class Channel(Protocol):
    """A command that runs on the host. Reading and writing may go on in two threads at a time."""

    def read(self, limit: int) -> bytes:
        """One to `limit` bytes of the command's output; nothing when it has ended it."""

    def write(self, data: Buffer) -> int:
        """Sends the beginning of `data`; returns how many bytes were taken, at least one."""

    def close_write(self) -> None:
        """Ends the command's input. What it prints can still be read."""

    def close(self) -> None:
        """Gives the command up. Safe to repeat, and from any thread."""

    def stderr_tail(self) -> PeerText:
        """The last the command wrote to standard error."""

    def exit_status(self) -> Optional[int]:
        """The command's exit status, or None as long as it is not known."""


class Transport(Protocol):
    """A connection to a host, logged in."""

    @property
    def description(self) -> str:
        """How the connection is made, in words."""

    @property
    def opens_in_order(self) -> bool:
        """Whether the server has accepted a command's session when `open` returns.

        A server limits the sessions of a connection (`MaxSessions` of sshd_config): an accepted
        session cannot be displaced by one that is opened later.
        """

    def open(self, command: Sequence[str]) -> Channel:
        """Runs a command; its words reach it as they are, whatever they contain."""

    def close(self) -> None:
        """Ends the connection and everything that runs over it. Safe to repeat."""
