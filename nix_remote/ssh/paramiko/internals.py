"""The undocumented parts of paramiko that the paramiko transport needs, and nothing else.

No other module of nix_remote uses them. `tests/unit/ssh/paramiko/test_internals.py` fails, and
names the part, when a new paramiko renames or changes one. What to do with the connection
belongs in the other modules of this package.
"""

from __future__ import annotations

import re
from typing import Any, Callable, Final, Optional

import paramiko
from paramiko.packet import Packetizer

_WINDOW: Final = 16 * 1024 * 1024
_LONGEST_PACKET: Final = 256 * 1024
"""Bytes; OpenSSH's own limit. paramiko has none."""
_CHANNEL_REQUEST: Final = bytes([98])
"""SSH_MSG_CHANNEL_REQUEST, RFC 4254."""

# The beginnings of log messages, which alone contain what the server says in words.
_LINE_BEFORE_GREETING: Final = "Banner: "
_DISCONNECTED: Final = "Disconnect "
_CHANNEL_REFUSED: Final = re.compile(r"Secsh channel \d+ open FAILED: (.*): [^:]*", re.S)


class _BoundedPacketizer(Packetizer):
    """Refuses packets that no correct server sends, before it allocates memory for them."""

    def read_all(self, n: int, check_rekey: bool = False) -> bytes:
        if n > _LONGEST_PACKET:
            raise paramiko.SSHException(f"the server announced a packet of {n} bytes")
        data: bytes = super().read_all(n, check_rekey)
        return data


class OpenTransport(paramiko.Transport):
    """paramiko's transport, with the parts of its state that it does not publish."""

    def __init__(
        self, stream: Any, host_keys: tuple[str, ...], signatures: tuple[str, ...]
    ) -> None:
        """Takes the algorithms of host keys and of login signatures, in order of preference."""
        super().__init__(stream, default_window_size=_WINDOW, packetizer_class=_BoundedPacketizer)
        self._host_keys = host_keys
        self._signatures = signatures
        self._closed_with: Optional[Exception] = None
        self.lines_before_greeting: list[str] = []
        """What the server sent before its greeting, or instead of one."""
        self.disconnect_message = ""
        """The server's disconnect message; empty if it has sent none."""
        self.channel_refusal = ""
        """Why the server refused a channel, in its words; empty if it has refused none."""
        self.last_error: Optional[Exception] = None
        """The exception that ended the connection, after a call of `get_exception`."""

    @property
    def preferred_keys(self) -> tuple[str, ...]:
        """The host key algorithms to offer; paramiko's own list has all certificates last."""
        return self._host_keys

    @property
    def preferred_pubkeys(self) -> tuple[str, ...]:
        """The signature algorithms to log in with."""
        return self._signatures

    @property
    def has_greeted(self) -> bool:
        """Whether the server has sent its greeting."""
        return bool(self.remote_version)

    @property
    def has_keys(self) -> bool:
        """Whether the first key exchange is complete."""
        return bool(self.initial_kex_done)

    @property
    def server_software(self) -> str:
        """The server's software, from its greeting."""
        return str(self.remote_version).removeprefix("SSH-2.0-")

    @property
    def cipher(self) -> str:
        """The cipher of what we send."""
        return str(self.local_cipher)

    def get_exception(self) -> Optional[Exception]:
        """See `paramiko.Transport`, which returns each exception once only."""
        # paramiko's thread ends with an exception of its own when the connection is closed.
        error = self._closed_with or super().get_exception()
        self.last_error = error or self.last_error
        return error

    def close_with(self, error: Exception) -> None:
        """Closes the connection; `get_exception` returns `error` from then on."""
        self._closed_with = error
        self.close()

    def request_exec(self, channel: paramiko.Channel, command: str) -> None:
        """Requests a command, and does not wait for the reply (RFC 4254, 6.5).

        paramiko's `exec_command` waits without a bound. For the reply see `is_exec_confirmed`; a
        refusal closes the channel.
        """
        send: Optional[Callable[[paramiko.Message], None]]
        send = getattr(self, "_send_user_message", None)
        if send is None:  # a later paramiko, where the method has another name
            channel.exec_command(command)
            return
        request = paramiko.Message()
        request.add_byte(_CHANNEL_REQUEST)
        request.add_int(channel.remote_chanid)
        request.add_string("exec")
        request.add_boolean(True)
        request.add_string(command)
        send(request)

    def _log(self, level: int, message: object, *arguments: object) -> None:
        text = str(message)
        if text.startswith(_LINE_BEFORE_GREETING):
            self.lines_before_greeting.append(text.removeprefix(_LINE_BEFORE_GREETING))
        if text.startswith(_DISCONNECTED):
            self.disconnect_message = text
        refused = _CHANNEL_REFUSED.fullmatch(text)
        if refused:
            self.channel_refusal = refused[1]
        super()._log(level, message, *arguments)  # type: ignore[misc]  # it is not in the stubs


def is_exec_confirmed(channel: paramiko.Channel) -> bool:
    """Whether the server has confirmed that the requested command runs."""
    return channel.event.is_set()


def exit_status(channel: paramiko.Channel, seconds: float) -> Optional[int]:
    """A command's exit status; None if it has none after that time."""
    channel.status_event.wait(seconds)
    if not channel.exit_status_ready():
        return None
    status = channel.recv_exit_status()
    # paramiko has -1 for a channel that was closed without an exit status.
    return status if status >= 0 else None
