"""The undocumented parts of paramiko that we use: each is there, and does what we rely on.

A failure here means that the installed paramiko differs from those that nix_remote supports.
"""

from __future__ import annotations

import ast
import inspect
import socket
import threading
import time
from pathlib import Path
from typing import Callable, Final, Iterator, Optional

import paramiko
import pytest
from paramiko.packet import Packetizer

import nix_remote
from nix_remote.ssh.paramiko import internals
from nix_remote.ssh.paramiko.internals import OpenTransport

HERE: Final = f"paramiko {paramiko.__version__}"
ADAPT: Final = "adapt nix_remote/ssh/paramiko/internals.py"

HOST_KEYS: Final = ("ecdsa-sha2-nistp256",)
SIGNATURES: Final = ("ecdsa-sha2-nistp256", "rsa-sha2-512")

OF_A_TRANSPORT: Final = (
    *("initial_kex_done", "remote_version", "local_cipher"),
    *("preferred_keys", "preferred_pubkeys", "_send_user_message", "_log"),
)
OF_A_CHANNEL: Final = ("remote_chanid", "event", "status_event")
DISCONNECT: Final = bytes([1])
CHANNEL_OPEN_FAILURE: Final = 92


@pytest.mark.parametrize("name", OF_A_TRANSPORT)
def test_a_transport_has(name: str) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        transport = paramiko.Transport(ours)
        try:
            assert hasattr(transport, name), f"{HERE} has no Transport.{name}: {ADAPT}"
        finally:
            transport.close()


@pytest.mark.parametrize("name", OF_A_CHANNEL)
def test_a_channel_has(name: str) -> None:
    assert hasattr(paramiko.Channel(1), name), f"{HERE} has no Channel.{name}: {ADAPT}"


@pytest.mark.parametrize(
    ("function", "parameters"),
    [
        (getattr(paramiko.Transport, "_send_user_message", None), ["self", "data"]),
        (getattr(paramiko.Transport, "_log", None), ["self", "level", "msg", "args"]),
        (getattr(Packetizer, "read_all", None), ["self", "n", "check_rekey"]),
    ],
    ids=["_send_user_message", "_log", "read_all"],
)
def test_a_method_takes(function: Optional[Callable[..., object]], parameters: list[str]) -> None:
    assert function is not None, f"{HERE} lacks the method: {ADAPT}"
    found = list(inspect.signature(function).parameters)
    assert found == parameters, f"{HERE} has changed {function.__qualname__}: {ADAPT}"


def test_a_transport_takes_another_packetizer() -> None:
    parameters = inspect.signature(paramiko.Transport).parameters
    assert "packetizer_class" in parameters, f"{HERE} takes no packetizer_class: {ADAPT}"


class Server(paramiko.ServerInterface):
    """Accepts every login; runs a command when the test allows it."""

    def __init__(self) -> None:
        self.refuses_channels = False
        self.commands: list[bytes] = []
        self.go_on = threading.Event()

    def check_auth_none(self, username: str) -> int:
        return paramiko.common.AUTH_SUCCESSFUL

    def check_channel_request(self, kind: str, chanid: int) -> int:
        if self.refuses_channels:
            return paramiko.common.OPEN_FAILED_ADMINISTRATIVELY_PROHIBITED
        return paramiko.common.OPEN_SUCCEEDED

    def check_channel_exec_request(self, channel: paramiko.Channel, command: bytes) -> bool:
        self.commands.append(command)
        return self.go_on.wait(20)


class Connected:
    """A client that is logged in to a server in the same process."""

    def __init__(self, ours: socket.socket, theirs: socket.socket) -> None:
        self.interface = Server()
        self.server = paramiko.Transport(theirs)
        self.server.add_server_key(paramiko.ECDSAKey.generate())
        self.server.start_server(server=self.interface, event=threading.Event())
        self.client = OpenTransport(ours, HOST_KEYS, SIGNATURES)
        self.client.start_client(timeout=20)
        self.client.auth_none("me")


@pytest.fixture
def connected() -> Iterator[Connected]:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        both = Connected(ours, theirs)
        yield both
        both.interface.go_on.set()
        both.client.close()
        both.server.close()


def wait_until(condition: Callable[[], object], what: str) -> None:
    bound = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < bound, f"{HERE} {what}: {ADAPT}"
        time.sleep(0.01)


def test_the_state_of_a_connection_is_published(connected: Connected) -> None:
    client = connected.client
    assert client.has_keys
    assert client.has_greeted
    assert client.server_software.startswith("paramiko_")
    assert client.cipher in client.get_security_options().ciphers
    assert client.get_remote_server_key().get_name() in HOST_KEYS
    assert (client.preferred_keys, client.preferred_pubkeys) == (HOST_KEYS, SIGNATURES)


def test_before_the_greeting_nothing_is_known() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        client = OpenTransport(ours, HOST_KEYS, SIGNATURES)
        assert not client.has_greeted
        assert not client.has_keys
        client.close()


def sent_by_server(data: bytes) -> tuple[OpenTransport, Exception]:
    """A client after a server has sent this and ended the connection."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.sendall(data)
        theirs.shutdown(socket.SHUT_WR)
        client = OpenTransport(ours, HOST_KEYS, SIGNATURES)
        with pytest.raises((paramiko.SSHException, EOFError, OSError)) as caught:
            client.start_client(timeout=20)
        client.close()
        return client, caught.value


def test_lines_before_the_greeting_are_kept() -> None:
    client, _ = sent_by_server(b"Not allowed\r\nat this time\r\n")
    expected = ["Not allowed", "at this time"]
    assert client.lines_before_greeting == expected, f"{HERE} logs other words: {ADAPT}"


def test_a_packet_that_is_too_long_is_refused_before_it_is_read() -> None:
    _, error = sent_by_server(b"SSH-2.0-x\r\n" + b"\x7f\x7f\x7f\x7c" + bytes(100))
    assert "announced a packet" in str(error), f"{HERE} reads packets in another way: {ADAPT}"


def test_the_disconnect_message_of_a_server_is_kept(connected: Connected) -> None:
    message = paramiko.Message()
    message.add_byte(DISCONNECT)
    message.add_int(2)
    message.add_string("Too many authentication failures")
    message.add_string("en")
    connected.server._send_message(message)  # type: ignore[attr-defined]  # not in the stubs
    wait_until(lambda: connected.client.disconnect_message, "logs no disconnect message")
    assert "Too many authentication failures" in connected.client.disconnect_message


def test_why_a_server_refuses_a_channel_is_kept(
    connected: Connected, monkeypatch: pytest.MonkeyPatch
) -> None:
    send = connected.server._send_message  # type: ignore[attr-defined]  # not in the stubs

    def with_reason(message: paramiko.Message) -> None:
        if message.asbytes()[0] == CHANNEL_OPEN_FAILURE:
            channel = int.from_bytes(message.asbytes()[1:5], "big")
            message = paramiko.Message()
            message.add_byte(bytes([CHANNEL_OPEN_FAILURE]))
            message.add_int(channel)
            message.add_int(2)
            message.add_string("connect: failed: Connection refused")
            message.add_string("en")
        send(message)

    monkeypatch.setattr(connected.server, "_send_message", with_reason)
    connected.interface.refuses_channels = True
    with pytest.raises(paramiko.ChannelException):
        connected.client.open_session(timeout=20)
    expected = "connect: failed: Connection refused"
    assert connected.client.channel_refusal == expected, f"{HERE} logs other words: {ADAPT}"


def test_a_command_is_requested_without_waiting_for_the_reply(connected: Connected) -> None:
    channel = connected.client.open_session(timeout=20)
    connected.client.request_exec(channel, "run this")
    wait_until(lambda: connected.interface.commands, "does not send the request")
    assert connected.interface.commands == [b"run this"]
    assert not internals.is_exec_confirmed(channel)
    connected.interface.go_on.set()
    wait_until(lambda: internals.is_exec_confirmed(channel), "does not set Channel.event")


@pytest.mark.parametrize("status", [0, 3, None])
def test_the_exit_status_of_a_command(connected: Connected, status: Optional[int]) -> None:
    connected.interface.go_on.set()
    channel = connected.client.open_session(timeout=20)
    connected.client.request_exec(channel, "run this")
    of_server = connected.server.accept(20)
    assert of_server is not None
    assert internals.exit_status(channel, 0) is None
    if status is not None:
        of_server.send_exit_status(status)
    of_server.close()
    assert internals.exit_status(channel, 20) == status


def test_an_error_that_closes_a_connection_is_the_one_that_is_raised(connected: Connected) -> None:
    channel = connected.client.open_session(timeout=20)
    error = TimeoutError("no reply")
    connected.client.close_with(error)
    assert channel.recv(1) == b""
    connected.client.join(20)  # its thread ends with an error of its own
    assert connected.client.get_exception() is error
    assert connected.client.last_error is error


def test_no_other_module_uses_internals_of_paramiko() -> None:
    hidden = {"saved_exception", *OF_A_TRANSPORT, *OF_A_CHANNEL} - {
        "event",
        "preferred_keys",
        "preferred_pubkeys",
    }
    package = Path(nix_remote.__file__).parent
    found = []
    for file in package.rglob("*.py"):
        if file == Path(internals.__file__):
            continue
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Attribute) and node.attr in hidden:
                of_self = isinstance(node.value, ast.Name) and node.value.id == "self"
                if not of_self:
                    found.append(f"{file.name}: {node.attr}")
    assert found == []
