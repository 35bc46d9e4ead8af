"""The lead: the lock and the socket of the process that serves, and how they pass to a program.

A client loads this module only when no process serves.
"""

from __future__ import annotations

import _socket
import fcntl
import os

from .connecting import LOCK_NAME, SOCKET_NAME, connect
from .framing import Unusable

TYPE_CHECKING = False  # importing `typing` would take longer than the rest
if TYPE_CHECKING:
    from typing import Final, Optional

_BACKLOG: Final = 256


class Lead:
    """The lock and the listening socket of the process that serves."""

    def __init__(self, folder: str, lock: int, listener: _socket.socket) -> None:
        self.folder = folder
        self.lock = lock
        self.listener = listener


def try_to_lead(name: str) -> Optional[Lead]:
    """Makes this process serve in that folder; None if another process does.

    The kernel releases the lock when its holder ends, so a socket without a lock is stale.
    """
    lock = os.open(f"{name}/{LOCK_NAME}", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    listener = None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # A service manager listens without the lock, and starts an agent when a client connects.
        manager = connect(name)
        if manager is None:
            listener = listen(name)
        else:
            manager.close()
    except BlockingIOError:
        pass
    finally:
        # Other clients wait for the holder of the lock to listen.
        if listener is None:
            os.close(lock)
    return None if listener is None else Lead(name, lock, listener)


def listen(name: str) -> _socket.socket:
    """Listens in that folder, and replaces a stale socket."""
    address = f"{name}/{SOCKET_NAME}"
    if os.path.lexists(address):
        os.unlink(address)
    listener = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
    try:
        listener.bind(address)
        listener.listen(_BACKLOG)
    except OSError:
        listener.close()
        raise
    return listener


def hand_over(lead: Lead) -> str:
    """Lets the lead outlive this program in its process; `taken_over` reads the text."""
    listener = lead.listener.detach()
    for descriptor in (lead.lock, listener):
        os.set_inheritable(descriptor, True)
    return f"{lead.lock},{listener},{lead.folder}"


def taken_over(text: str) -> Lead:
    """The lead of the program that this process ran before. Raises `Unusable`."""
    try:
        lock, listener, name = text.split(",", 2)
        descriptors = int(lock), int(listener)
        for descriptor in descriptors:
            os.set_inheritable(descriptor, False)
        return Lead(name, descriptors[0], _socket.socket(fileno=descriptors[1]))
    except (OSError, ValueError) as error:
        raise Unusable(str(error)) from None
