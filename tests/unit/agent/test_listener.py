"""A socket of the agent, and one of the service manager: making, restoring and removing it."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Iterator

import pytest

from nix_remote.agent.listener import InheritedSocket, OwnSocket, inherited
from nix_remote.agent.thin_client import connecting, leadership


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    tmp_path.chmod(0o700)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    return connecting.folder()


def listen(folder: str) -> socket.socket:
    """As a service manager does, which puts its socket in the listener of what is there."""
    address = f"{folder}/{connecting.SOCKET_NAME}"
    if os.path.lexists(address):
        os.unlink(address)
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(address)
    listener.listen()
    return listener


@pytest.fixture
def manager(folder: str) -> Iterator[socket.socket]:
    with listen(folder) as listener:
        yield listener


def is_listening(folder: str) -> bool:
    connection = connecting.connect(folder)
    if connection is not None:
        connection.close()
    return connection is not None


def own_socket(folder: str) -> OwnSocket:
    lead = leadership.try_to_lead(folder)
    assert lead is not None
    return OwnSocket(lead)


def test_no_client_leads_where_the_service_manager_listens(
    folder: str, manager: socket.socket
) -> None:
    assert leadership.try_to_lead(folder) is None
    assert is_listening(folder)
    manager.close()
    own_socket(folder).close()


def test_a_closed_socket_is_removed(folder: str) -> None:
    listener = own_socket(folder)
    assert is_listening(folder)
    listener.close()
    assert not os.path.exists(f"{folder}/{connecting.SOCKET_NAME}")
    own_socket(folder).close()


def test_a_closed_socket_accepts_no_client_although_a_thread_still_waits(folder: str) -> None:
    listener = own_socket(folder)
    # A thread in `accept` keeps the socket open.
    with socket.socket(fileno=os.dup(listener.listener.fileno())):
        listener.close()
        assert not os.path.exists(f"{folder}/{connecting.SOCKET_NAME}")


def test_a_socket_that_the_service_manager_has_made_meanwhile_is_left_to_it(folder: str) -> None:
    listener = own_socket(folder)
    with listen(folder):
        listener.close()
        assert is_listening(folder)


def test_an_own_socket_that_is_removed_is_made_again(folder: str) -> None:
    listener = own_socket(folder)
    assert not listener.restore()
    os.unlink(f"{folder}/{connecting.SOCKET_NAME}")
    assert listener.restore()
    assert is_listening(folder)
    listener.close()


def test_the_service_managers_socket_outlives_the_agent(
    folder: str, manager: socket.socket
) -> None:
    listener = InheritedSocket(socket.socket(fileno=os.dup(manager.fileno())), folder)
    assert not listener.lost
    listener.close()
    assert is_listening(folder)


def test_the_service_managers_socket_is_not_made_again(folder: str, manager: socket.socket) -> None:
    listener = InheritedSocket(socket.socket(fileno=os.dup(manager.fileno())), folder)
    os.unlink(f"{folder}/{connecting.SOCKET_NAME}")
    assert listener.lost
    assert not listener.restore()
    listener.close()
    assert not os.path.exists(f"{folder}/{connecting.SOCKET_NAME}")


@pytest.mark.parametrize("process", ["", "1"])
def test_a_socket_passed_to_another_process_is_not_taken(folder: str, process: str) -> None:
    assert inherited({"LISTEN_PID": process, "LISTEN_FDS": "1"}, folder) is None
    assert inherited({}, folder) is None


_TAKE = """
import os, sys
from nix_remote.agent.thin_client import connecting, framing, leadership
from nix_remote.agent.listener import inherited
try:
    listener = inherited(os.environ, sys.argv[1])
except framing.Unusable as error:
    sys.exit(str(error))
print(os.get_inheritable(3))
connecting.connect(sys.argv[1])
listener.listener.accept()[0].close()
"""


def taken(descriptor: int, folder: str, *, count: str = "1") -> subprocess.CompletedProcess[str]:
    """Runs a program that inherits a descriptor as sd_listen_fds(3) describes."""
    script = f'exec 3<&0; LISTEN_PID=$$ LISTEN_FDS={count} exec "$@"'
    return subprocess.run(
        ["sh", "-c", script, "sh", sys.executable, "-c", _TAKE, folder],
        stdin=descriptor,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


def test_an_inherited_socket_is_taken_and_not_inherited_further(
    folder: str, manager: socket.socket
) -> None:
    done = taken(manager.fileno(), folder)
    assert (done.returncode, done.stdout) == (0, "False\n"), done.stderr


def test_a_socket_that_clients_do_not_connect_to_is_refused(folder: str, tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as elsewhere:
        elsewhere.bind(str(tmp_path / "elsewhere"))
        elsewhere.listen()
        done = taken(elsewhere.fileno(), folder)
    assert f"listens at {tmp_path}/elsewhere, clients connect to {folder}/" in done.stderr
    assert done.returncode == 1


@pytest.mark.parametrize("count", ["0", "2"])
def test_only_one_socket_is_taken(folder: str, manager: socket.socket, count: str) -> None:
    assert f"passes {count} sockets" in taken(manager.fileno(), folder, count=count).stderr


def test_an_inherited_file_is_refused(folder: str, tmp_path: Path) -> None:
    with open(tmp_path / "file", "w") as file:
        assert "the socket of the service manager: " in taken(file.fileno(), folder).stderr
