"""The private folder of the agent's socket and lock, and a connection to the socket.

Not here: who may listen there (`leadership.py`).
"""

from __future__ import annotations

import _socket
import os
import sys

from .framing import SILENCE, Unusable

TYPE_CHECKING = False  # importing `typing` would take longer than the rest
if TYPE_CHECKING:
    from typing import Final, Optional

SOCKET_NAME: Final = "agent.socket"
LOCK_NAME: Final = "agent.lock"
_LONGEST_ADDRESS: Final = 100
_CREDENTIALS: Final = 12
"""Bytes of `struct ucred`: process, user, group."""


def folder() -> str:
    """The private folder of the agent's socket and lock; made if it does not exist.

    Raises `Unusable` if it would not be private.
    """
    user = os.getuid()
    runtime = os.environ.get("XDG_RUNTIME_DIR", "")
    for base in (runtime, f"/run/user/{user}"):
        if base.startswith("/") and _is_private(base, user):
            name = f"{base}/nix-remote"
            break
    else:
        name = f"/tmp/nix-remote-{user}"
    try:
        os.mkdir(name, 0o700)
    except FileExistsError:
        pass
    except OSError as error:
        raise Unusable(f"{name}: {error.strerror}") from None
    if not _is_private(name, user):
        raise Unusable(f"{name} is not a private folder of this user")
    if len(os.fsencode(name)) > _LONGEST_ADDRESS - len(SOCKET_NAME):
        raise Unusable(f"{name} is too long for a socket address")
    return name


def _is_private(name: str, user: int) -> bool:
    try:
        status = os.lstat(name)
    except OSError:
        return False
    return status.st_mode & 0o170077 == 0o040000 and status.st_uid == user


def connect(name: str) -> Optional[_socket.socket]:
    """A connection to the serving process of that folder; None if no process listens.

    Raises `Unusable` if another user's process listens, or if it does not answer.
    """
    try:
        connection = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
    except OSError as error:
        raise Unusable(str(error)) from None
    connection.settimeout(SILENCE)
    try:
        connection.connect(f"{name}/{SOCKET_NAME}")
    except (FileNotFoundError, ConnectionRefusedError, ConnectionResetError):
        connection.close()
        return None
    except OSError as error:
        connection.close()
        raise Unusable(str(error)) from None
    if peer(connection)[1] != os.getuid():
        connection.close()
        raise Unusable("the agent belongs to another user")
    return connection


def peer(connection: _socket.socket) -> tuple[int, int]:
    """Process and user at the other end."""
    credentials = connection.getsockopt(_socket.SOL_SOCKET, _socket.SO_PEERCRED, _CREDENTIALS)
    return (
        int.from_bytes(credentials[0:4], sys.byteorder),
        int.from_bytes(credentials[4:8], sys.byteorder),
    )
