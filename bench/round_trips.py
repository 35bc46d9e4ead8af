"""Counts round trips: how often a client has to wait for the server.

A relay lets only one side send at a time. It forwards the client's data until the
client is silent for a while, and so must be waiting; then the server's data, until
the server is silent; and so on. Every switch from the client to the server is a round
trip. Time plays no role, and so neither do distance, bandwidth or TCP's slow start:
the result is the minimum of round trips that the protocols need.

The server's own log tells when the login is over.
"""

from __future__ import annotations

import select
import socket
import threading
import time
from dataclasses import dataclass
from typing import Sequence

from bench.contenders import Copier
from bench.rig import Rig
from lab import sshd
from lab.commands import LabError
from lab.host import Host
from lab.lab import ACCOUNT
from lab.network import enter_namespace

_SILENCE = 0.5
_PORT = 2300
_ALIAS = "bench-round-trips"
_PIECE = 1 << 20


@dataclass
class RoundTrips:
    """The round trips of one connection."""

    in_all: int = 0
    after_login: int = 0


def count(rig: Rig, copier: Copier, path: str) -> RoundTrips:
    """The round trips of a copy; of the connection with the most, if there are several."""
    relay = _TurnRelay(rig.server, rig.ssh_server)
    relay.start()
    sshd.introduce(rig.workstation, sshd.SshServer(rig.server, _PORT), {_ALIAS: ACCOUNT})
    try:
        rig.run(rig.workstation, copier.command(_ALIAS, path))
    finally:
        counted = relay.stop()
    return max(counted, key=lambda each: each.in_all)


class _TurnRelay:
    def __init__(self, host: Host, target: sshd.SshServer) -> None:
        self._host = host
        self._target = target
        self._logins_before = target.logins()
        self._ready = threading.Event()
        self._stopping, self._stopped = socket.socketpair()
        self._counted: list[RoundTrips] = []
        self._thread = threading.Thread(target=self._run, name="turn-relay", daemon=True)

    def start(self) -> None:
        self._thread.start()
        if not self._ready.wait(10):
            raise LabError(f"no relay on port {_PORT} of {self._host.name}")

    def stop(self) -> Sequence[RoundTrips]:
        self._stopping.close()
        self._thread.join(30)
        self._stopped.close()
        return self._counted

    def _run(self) -> None:
        enter_namespace(self._host.namespace)
        with socket.create_server(("", _PORT)) as listener:
            self._ready.set()
            connections = []
            while True:
                readable, _, _ = select.select([listener, self._stopped], [], [])
                if self._stopped in readable:
                    break
                # Its socket to the server is made here: other threads are not in the namespace.
                client, _ = listener.accept()
                server = socket.create_connection(("127.0.0.1", self._target.port), timeout=10)
                connections.append(
                    threading.Thread(target=self._serve, args=(client, server), daemon=True)
                )
                connections[-1].start()
            for connection in connections:
                connection.join(10)

    def _serve(self, client: socket.socket, server: socket.socket) -> None:
        trips = RoundTrips()
        self._counted.append(trips)
        listener_of = {client: server, server: client}
        held = {client: b"", server: b""}
        speaker, asked, logged_in = client, False, False
        last_word = time.monotonic()
        with client, server:
            while True:
                wait = max(0.0, last_word + _SILENCE - time.monotonic())
                readable, _, _ = select.select([client, server], [], [], wait)
                try:
                    for each in readable:
                        data = each.recv(_PIECE)
                        if not data:
                            listener_of[each].sendall(held[each])
                            return
                        held[each] += data
                    if not held[speaker]:
                        if time.monotonic() - last_word >= _SILENCE:
                            speaker = listener_of[speaker]
                            last_word = time.monotonic()
                        continue
                    if speaker is client and not asked:
                        asked, logged_in = True, self._target.logins() > self._logins_before
                    elif speaker is server and asked:
                        asked = False
                        trips.in_all += 1
                        trips.after_login += logged_in
                    listener_of[speaker].sendall(held[speaker])
                except ConnectionError:
                    return
                held[speaker] = b""
                last_word = time.monotonic()
