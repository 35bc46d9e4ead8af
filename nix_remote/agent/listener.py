"""The socket of the process that serves: its own, or one inherited from the service manager.

Belongs here: making, losing, restoring and closing it. Not: accepting clients (`server.py`).
"""

from __future__ import annotations

import os
import socket
from contextlib import suppress
from typing import Final, Mapping, Optional, Protocol

from nix_remote.agent.thin_client import connecting, framing, leadership

_FIRST_INHERITED: Final = 3
"""The first descriptor that a service manager passes on; see sd_listen_fds(3)."""


class ListeningSocket(Protocol):
    """A socket on which clients connect."""

    listener: socket.socket

    @property
    def folder(self) -> str:
        """The folder in which clients look for it."""

    @property
    def lost(self) -> bool:
        """Whether clients can no longer reach it, and this process may not change that."""

    def restore(self) -> bool:
        """Listens again if the socket was removed; returns whether it was."""

    def close(self) -> None:
        """Stops listening. Another process may serve."""


class OwnSocket:
    """The lock, and the socket that its holder makes."""

    def __init__(self, lead: leadership.Lead) -> None:
        self.listener = _as_socket(lead.listener)
        self._lead = lead

    @property
    def folder(self) -> str:
        return self._lead.folder

    @property
    def lost(self) -> bool:
        """Whether the lock file of the folder is not the one that this process holds."""
        try:
            seen = os.stat(f"{self.folder}/{connecting.LOCK_NAME}")
            held = os.fstat(self._lead.lock)
        except OSError:
            return True
        return (seen.st_dev, seen.st_ino) != (held.st_dev, held.st_ino)

    def restore(self) -> bool:
        if self.lost or os.path.exists(f"{self.folder}/{connecting.SOCKET_NAME}"):
            return False
        try:
            renewed = _as_socket(leadership.listen(self.folder))
        except OSError:
            return False
        self.listener.close()
        self.listener = renewed
        return True

    def close(self) -> None:
        # After `close` alone it would still accept clients while another thread waits in `accept`.
        with suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        if not self.lost and not _is_listened_to(self.folder):
            with suppress(OSError):
                os.unlink(f"{self.folder}/{connecting.SOCKET_NAME}")
        os.close(self._lead.lock)


class InheritedSocket:
    """A socket of the service manager: older than this process, and not removed when it ends.

    No other process serves while the manager listens, so there is no lock to hold.
    """

    def __init__(self, listener: socket.socket, folder: str) -> None:
        self.listener = listener
        self._folder = folder

    @property
    def folder(self) -> str:
        return self._folder

    @property
    def lost(self) -> bool:
        """Whether the socket's file was removed: only the manager can make it again."""
        return not os.path.exists(f"{self._folder}/{connecting.SOCKET_NAME}")

    def restore(self) -> bool:
        return False

    def close(self) -> None:
        self.listener.close()


def inherited(environment: Mapping[str, str], folder: str) -> Optional[InheritedSocket]:
    """The socket that a service manager has passed to this process; None if it has not.

    Raises `Unusable` if clients do not connect to that socket.
    """
    if environment.get("LISTEN_PID") != str(os.getpid()):
        return None
    count = environment.get("LISTEN_FDS")
    if count != "1":
        raise framing.Unusable(f"the service manager passes {count} sockets instead of one")
    try:
        listener = socket.socket(fileno=_FIRST_INHERITED)
    except OSError as error:
        raise framing.Unusable(f"the socket of the service manager: {error.strerror}") from None
    # `ssh` and other child processes do not need it.
    listener.set_inheritable(False)
    address = f"{folder}/{connecting.SOCKET_NAME}"
    if listener.family != socket.AF_UNIX or listener.getsockname() != address:
        listens_at = listener.getsockname()
        listener.close()
        raise framing.Unusable(
            f"the service manager listens at {listens_at}, clients connect to {address}"
        )
    return InheritedSocket(listener, folder)


def _is_listened_to(folder: str) -> bool:
    try:
        connection = connecting.connect(folder)
    except framing.Unusable:
        return True
    if connection is not None:
        connection.close()
    return connection is not None


def _as_socket(made: object) -> socket.socket:
    """The same socket with the methods of the standard library's."""
    if isinstance(made, socket.socket):
        return made
    return socket.socket(fileno=made.detach())  # type: ignore[attr-defined]
