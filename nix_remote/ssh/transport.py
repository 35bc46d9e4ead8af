"""The interface between nix_remote and SSH, the only one that higher layers use.

A `Transport` is a connection to a host, logged in; its `open` runs a command and returns the
`Channel` to it. Implementations raise `nix_remote.errors` and `ChannelTimeout` only.
"""

from __future__ import annotations

from typing import Final, Optional, Protocol, Sequence, Union

from nix_remote.text import PeerText

POLL_SECONDS: Final = 0.5
"""How long a read or write waits before it raises `ChannelTimeout`."""

Buffer = Union[bytes, bytearray, memoryview]


class ChannelTimeout(Exception):
    """Nothing could be read or written for `POLL_SECONDS`. Not an error: the caller may retry."""


class Channel(Protocol):
    """A command that runs on the host. One thread may read while another one writes."""

    def read(self, limit: int) -> bytes:
        """Reads one to `limit` bytes of the command's output; empty at its end."""

    def write(self, data: Buffer) -> int:
        """Sends the beginning of `data`; returns the number of bytes sent, at least one."""

    def close_write(self) -> None:
        """Closes the command's input. Its output can still be read."""

    def close(self) -> None:
        """Ends the channel to the command. Safe to repeat, and from any thread."""

    def stderr_tail(self) -> PeerText:
        """The end of what the command wrote to standard error."""

    def exit_status(self) -> Optional[int]:
        """The command's exit status; None until it is known."""


class Transport(Protocol):
    """A connection to a host, logged in."""

    @property
    def description(self) -> str:
        """How the connection is made, for messages."""

    @property
    def opens_in_order(self) -> bool:
        """Whether the server has accepted the command's session when `open` returns.

        Servers limit the sessions of a connection (`MaxSessions` of sshd_config). A session that
        the server has accepted keeps its place when further sessions are opened.
        """

    def open(self, command: Sequence[str]) -> Channel:
        """Runs a command; its words are quoted for the remote shell."""

    def close(self) -> None:
        """Closes the connection and its channels. Safe to repeat."""
