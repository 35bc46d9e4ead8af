"""Entries of the workstation's SSH config that lead to SSH servers of a test's own."""

from __future__ import annotations

from contextlib import contextmanager
from typing import Iterator

from lab import sshd
from lab.lab import Lab


def leading_to(lab: Lab, server: sshd.SshServer) -> list[str]:
    """Lines of an entry for another SSH server of the lab's Nix server, its key being known."""
    return [f"Port {server.port}", f"HostKeyAlias [{lab.server.address}]:{sshd.PORT}"]


@contextmanager
def ssh_server(lab: Lab, port: int, *options: str) -> Iterator[sshd.SshServer]:
    """One more SSH server on the Nix server; it shuts nobody out for failing to log in."""
    server = sshd.SshServer(lab.server, port)
    server.start("\n".join([*options, "PerSourcePenalties no", "LogLevel DEBUG1"]))
    try:
        yield server
    finally:
        server.stop()
