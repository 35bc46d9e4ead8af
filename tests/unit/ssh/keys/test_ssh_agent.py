"""The probe of the SSH agent, against agents that answer, refuse, break off and are silent."""

from __future__ import annotations

import socket
import threading
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Iterator

import paramiko
import pytest

from nix_remote.ssh.keys import ssh_agent
from nix_remote.ssh.keys.ssh_agent import AgentUnavailable, probe

KEY = paramiko.ECDSAKey.generate().asbytes()


def text(value: bytes) -> bytes:
    return len(value).to_bytes(4, "big") + value


def listed(*keys: bytes) -> bytes:
    """A reply of type 12, which lists keys with their comments."""
    entries = b"".join(text(key) + text(b"comment") for key in keys)
    return text(bytes([12]) + len(keys).to_bytes(4, "big") + entries)


@contextmanager
def agent(path: Path, reply: bytes) -> Iterator[None]:
    """An SSH agent that sends one reply and closes the connection."""
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        server.listen()

        def serve() -> None:
            with suppress(OSError):
                connection, _ = server.accept()
                with connection:
                    connection.recv(1000)
                    connection.sendall(reply)
                    connection.shutdown(socket.SHUT_WR)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield
        server.shutdown(socket.SHUT_RDWR)
        thread.join(20)


def test_the_keys_of_an_agent(tmp_path: Path) -> None:
    with agent(tmp_path / "socket", listed(KEY)):
        assert probe(tmp_path / "socket") == {KEY}


@pytest.mark.parametrize(
    ("reply", "why"),
    [
        (text(bytes([5])), "refuses"),
        (listed(KEY)[:-1], "closed the connection"),
        (b"", "closed the connection"),
        (text(bytes([12]) + (1).to_bytes(4, "big")), "malformed"),
        ((2**31).to_bytes(4, "big"), "malformed"),
    ],
    ids=["refusal", "cut-off", "nothing", "short", "huge"],
)
def test_an_agent_that_lists_no_keys_is_unavailable(tmp_path: Path, reply: bytes, why: str) -> None:
    with agent(tmp_path / "socket", reply), pytest.raises(AgentUnavailable, match=why):
        probe(tmp_path / "socket")


def test_a_socket_without_an_agent(tmp_path: Path) -> None:
    with pytest.raises(AgentUnavailable, match="no SSH agent listens there"):
        probe(tmp_path / "socket")
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(tmp_path / "socket"))
    with pytest.raises(AgentUnavailable, match="no SSH agent listens there"):
        probe(tmp_path / "socket")


def test_a_silent_agent_is_not_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ssh_agent, "_PROBE_TIMEOUT", 0.1)
    with socket.socket(socket.AF_UNIX) as silent:
        silent.bind(str(tmp_path / "socket"))
        silent.listen()
        with pytest.raises(AgentUnavailable, match="does not answer"):
            probe(tmp_path / "socket")
