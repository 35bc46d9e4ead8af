"""`ServerAliveInterval`: ends the connection to a server that stops responding."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nix_remote.ssh.paramiko.internals import OpenTransport


class Keepalive:
    """Sends keepalive messages from a thread of its own."""

    def __init__(self, connection: OpenTransport, interval: float, count: int) -> None:
        """Sends one every `interval` seconds; ends the connection after `count` without reply."""
        self._connection = connection
        self._interval = interval
        self._bound = interval * max(count, 1)
        self._ended = threading.Event()
        threading.Thread(target=self._run, daemon=True).start()

    def close(self) -> None:
        """Stops sending."""
        self._ended.set()

    def _run(self) -> None:
        while not self._ended.wait(self._interval) and self._connection.is_active():
            overdue = threading.Timer(self._bound, self._give_up)
            overdue.daemon = True
            overdue.start()
            try:
                # Any reply will do; the usual one is a refusal.
                self._connection.global_request("keepalive@openssh.com", wait=True)
            except Exception:  # any that ended the connection
                return
            finally:
                overdue.cancel()

    def _give_up(self) -> None:
        why = f"the server has not answered for {self._bound:g} s (ServerAliveInterval)"
        self._connection.close_with(TimeoutError(why))
