"""Entries of the workstation's SSH config that lead to SSH servers of a test's own."""

from __future__ import annotations

from contextlib import contextmanager
from typing import Iterator

from lab import sshd
from lab.host import Host


def known_as(host: Host, port: int = sshd.PORT) -> str:
    """A line of an entry: the host key is the one that is known for a host's SSH server."""
    return f"HostKeyAlias [{host.address}]:{port}"


def leading_to(server: sshd.SshServer) -> list[str]:
    """Lines of an entry for another SSH server of a host: all of them have the same host key."""
    return [f"Port {server.port}", known_as(server.host)]


@contextmanager
def ssh_server(host: Host, port: int, *options: str) -> Iterator[sshd.SshServer]:
    """One more SSH server on a host; it does not penalize clients that fail to log in."""
    server = sshd.SshServer(host, port)
    server.start("\n".join([*options, "PerSourcePenalties no", "LogLevel DEBUG1"]))
    try:
        yield server
    finally:
        server.stop()
