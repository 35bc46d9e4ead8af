"""`ServerAliveInterval`: notices that a server is gone although nothing is being sent."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import paramiko


class Keepalive:
    """Asks the server again and again if it is there, and ends the connection if it is not."""

    def __init__(self, connection: paramiko.Transport, interval: float, count: int) -> None:
        """`interval` in seconds; the server may leave `count` questions in a row unanswered."""
        self._connection = connection
        self._interval = interval
        self._patience = interval * max(count, 1)
        self._ended = threading.Event()
        threading.Thread(target=self._ask_again_and_again, daemon=True).start()

    def close(self) -> None:
        """Ends asking."""
        self._ended.set()

    def _ask_again_and_again(self) -> None:
        while not self._ended.wait(self._interval) and self._connection.is_active():
            overdue = threading.Timer(self._patience, self._give_up)
            overdue.daemon = True
            overdue.start()
            try:
                # Whatever the answer is, and no is the usual one: somebody is there.
                self._connection.global_request("keepalive@openssh.com", wait=True)
            except Exception:  # whatever has ended the connection
                return
            finally:
                overdue.cancel()

    def _give_up(self) -> None:
        why = f"the server has not answered for {self._patience:g} s (ServerAliveInterval)"
        self._connection.saved_exception = TimeoutError(why)
        self._connection.close()
