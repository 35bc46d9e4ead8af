"""Where whoever serves listens: a socket of its own, or one that the service manager lends it.

Belongs here: making, losing, mending and leaving that place. Not: what is done
with those who come there.
"""

from __future__ import annotations

import os
import socket
from contextlib import suppress
from typing import Final, Mapping, Optional, Protocol

from nix_remote.agent.thin_client import connecting, framing, leadership

_FIRST_HANDED_OVER: Final = 3
"""The descriptor; see sd_listen_fds(3)."""


class ListeningSocket(Protocol):
    """A place to serve at."""

    listener: socket.socket

    @property
    def folder(self) -> str:
        """Where clients look for it."""

    @property
    def lost(self) -> bool:
        """Whether clients cannot find it any more, and it is not ours to change that."""

    def mend(self) -> bool:
        """Listens anew if somebody has removed the socket; whether that was so."""

    def leave(self) -> None:
        """Listens no more. Somebody else may serve."""


class OwnSocket:
    """The lock, and a socket that goes with it."""

    def __init__(self, lead: leadership.Lead) -> None:
        self.listener = _as_socket(lead.listener)
        self._lead = lead

    @property
    def folder(self) -> str:
        return self._lead.folder

    @property
    def lost(self) -> bool:
        """Whether the lock that others see is not the one that we hold."""
        try:
            seen = os.stat(f"{self.folder}/{connecting.LOCK_NAME}")
            held = os.fstat(self._lead.lock)
        except OSError:
            return True
        return (seen.st_dev, seen.st_ino) != (held.st_dev, held.st_ino)

    def mend(self) -> bool:
        if self.lost or os.path.exists(f"{self.folder}/{connecting.SOCKET_NAME}"):
            return False
        try:
            renewed = _as_socket(leadership.listen(self.folder))
        except OSError:
            return False
        self.listener.close()
        self.listener = renewed
        return True

    def leave(self) -> None:
        # Closed alone, it would still take clients while another thread waits for one.
        with suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        if not self.lost and not _is_listened_to(self.folder):
            with suppress(OSError):
                os.unlink(f"{self.folder}/{connecting.SOCKET_NAME}")
        os.close(self._lead.lock)


class InheritedSocket:
    """A socket of the service manager: it was there before us, and stays when we go.

    Nobody else serves while the manager listens, so there is no lock to hold.
    """

    def __init__(self, listener: socket.socket, folder: str) -> None:
        self.listener = listener
        self._folder = folder

    @property
    def folder(self) -> str:
        return self._folder

    @property
    def lost(self) -> bool:
        """Whether the socket's name is gone: only the manager can make it again."""
        return not os.path.exists(f"{self._folder}/{connecting.SOCKET_NAME}")

    def mend(self) -> bool:
        return False

    def leave(self) -> None:
        self.listener.close()


def inherited(environment: Mapping[str, str], folder: str) -> Optional[InheritedSocket]:
    """The socket that a service manager has handed over to this process; None if none has.

    Raises `Unusable` if it is not the one that clients look for.
    """
    if environment.get("LISTEN_PID") != str(os.getpid()):
        return None
    count = environment.get("LISTEN_FDS")
    if count != "1":
        raise framing.Unusable(f"the service manager hands over {count} sockets instead of one")
    try:
        listener = socket.socket(fileno=_FIRST_HANDED_OVER)
    except OSError as error:
        raise framing.Unusable(f"what the service manager hands over: {error.strerror}") from None
    # For `ssh` and whatever else we start, it would be one descriptor too many.
    listener.set_inheritable(False)
    address = f"{folder}/{connecting.SOCKET_NAME}"
    if listener.family != socket.AF_UNIX or listener.getsockname() != address:
        listens_at = listener.getsockname()
        listener.close()
        raise framing.Unusable(
            f"the service manager listens at {listens_at}, and clients come to {address}"
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
