"""When `ssh` is tried instead of paramiko, and which error counts if both fail."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from pathlib import Path
from typing import Callable, Iterator, NoReturn, Optional, Union

import paramiko
import pytest

from nix_remote.errors import (
    ConnectionBroken,
    HostKeyUnknown,
    LoginRefused,
    NegotiationFailed,
    NixRemoteError,
    OpenSshMissing,
    SshConfigUnsupported,
)
from nix_remote.settings import TransportChoice
from nix_remote.ssh import connect as ssh_connect
from nix_remote.ssh.config.host_config import HostConfig
from nix_remote.ssh.config.resolve import resolve, this_user
from nix_remote.ssh.openssh import transport as openssh_transport
from nix_remote.ssh.paramiko import transport as paramiko_transport
from nix_remote.ssh.paramiko.handshake import Connection
from nix_remote.ssh.paramiko.transport import Login, ParamikoTransport
from nix_remote.ssh.paramiko.unsupported import Unsupported
from nix_remote.ssh.transport import Channel, ChannelTimeout

NEGOTIATION = NegotiationFailed("nix", "h:22", "no acceptable ciphers")
BROKEN = ConnectionBroken("nix", "negotiating", "closed")
REFUSED = LoginRefused("nix", "me", "k", "", None)
UNSUPPORTED = SshConfigUnsupported("nix", "PKCS11Provider x")
MISSING = OpenSshMissing("nix", "", "No such file")
UNKNOWN = HostKeyUnknown("nix", "h", "ssh-ed25519 x", "known_hosts")


@pytest.fixture
def config(tmp_path: Path) -> HostConfig:
    file = tmp_path / "config"
    file.write_text("HostName 127.0.0.1\n")
    return resolve("nix", file, this_user({}))


def _raising(error: Exception) -> Callable[..., NoReturn]:
    def connect(*_: object) -> NoReturn:
        raise error

    return connect


@pytest.mark.parametrize(
    ("with_paramiko", "with_ssh", "shown"),
    [
        (NEGOTIATION, NegotiationFailed("nix", "h:22", "no matching cipher"), "no matching cipher"),
        (NEGOTIATION, BROKEN, "no acceptable ciphers"),
        (NEGOTIATION, MISSING, "no acceptable ciphers"),
        (NEGOTIATION, UNKNOWN, "no entry for h"),
        (BROKEN, ConnectionBroken("nix", "negotiating", "reset"), "reset"),
        (BROKEN, REFUSED, "tried k"),
        (UNSUPPORTED, MISSING, "No such file"),
        (UNSUPPORTED, BROKEN, "PKCS11Provider"),
    ],
)
def test_the_more_specific_one_of_two_errors_is_raised(
    monkeypatch: pytest.MonkeyPatch,
    config: HostConfig,
    with_paramiko: NixRemoteError,
    with_ssh: NixRemoteError,
    shown: str,
) -> None:
    unsupported = Unsupported("why", with_paramiko)
    monkeypatch.setattr(paramiko_transport, "connect", _raising(unsupported))
    monkeypatch.setattr(openssh_transport, "connect", _raising(with_ssh))
    with pytest.raises(NixRemoteError) as caught:
        ssh_connect.connect(config, TransportChoice.AUTO)
    assert shown in caught.value.why


@pytest.mark.parametrize(
    ("choice", "raised", "tried"),
    [
        (TransportChoice.AUTO, Unsupported("why", NEGOTIATION), True),
        (TransportChoice.PARAMIKO, Unsupported("why", NEGOTIATION), False),
        (TransportChoice.AUTO, REFUSED, False),
        (TransportChoice.AUTO, UNKNOWN, False),
    ],
)
def test_ssh_is_tried_once_if_paramiko_cannot_connect_and_never_if_the_server_refuses(
    monkeypatch: pytest.MonkeyPatch,
    config: HostConfig,
    choice: TransportChoice,
    raised: Union[Unsupported, NixRemoteError],
    tried: bool,
) -> None:
    asked: list[Optional[Path]] = []

    def connect(_: HostConfig, file: Optional[Path]) -> None:
        asked.append(file)

    monkeypatch.setattr(paramiko_transport, "connect", _raising(raised))
    monkeypatch.setattr(openssh_transport, "connect", connect)
    if tried:
        _, why = ssh_connect.connect(config, choice, Path("f"))
        assert why == "why"
        assert asked == [Path("f")]
    else:
        error = raised.error if isinstance(raised, Unsupported) else raised
        with pytest.raises(type(error)):
            ssh_connect.connect(config, choice)
        assert asked == []


class _Server(paramiko.ServerInterface):
    """Accepts every login, and runs no command."""

    def check_auth_none(self, username: str) -> int:
        return paramiko.common.AUTH_SUCCESSFUL

    def check_channel_request(self, kind: str, chanid: int) -> int:
        return paramiko.common.OPEN_SUCCEEDED

    def check_channel_exec_request(self, channel: paramiko.Channel, command: bytes) -> bool:
        return True


@pytest.fixture
def server() -> Iterator[paramiko.Transport]:
    """A server over one connection; its client is at `server.other_end`."""
    theirs, ours = socket.socketpair()
    with theirs, ours:
        transport = paramiko.Transport(theirs)
        transport.add_server_key(paramiko.ECDSAKey.generate())
        transport.get_security_options().ciphers = ("aes128-ctr",)
        transport.start_server(server=_Server(), event=threading.Event())
        transport.other_end = ours  # type: ignore[attr-defined]
        yield transport
        transport.close()


def test_a_key_exchange_with_an_algorithm_that_paramiko_lacks_is_left_to_ssh(
    monkeypatch: pytest.MonkeyPatch, config: HostConfig, server: paramiko.Transport
) -> None:
    connection = Connection(server.other_end, config)  # type: ignore[attr-defined]
    connection.start_client(timeout=30)
    connection.auth_none("me")
    over_paramiko = ParamikoTransport(Login(connection), config)
    channel = over_paramiko.open(["true"])
    # The server has replied to the command when it replies to this. A paramiko server that still
    # has a reply to send when it starts a key exchange waits 30 s for its own exchange.
    connection.global_request("ping", wait=True)
    monkeypatch.setattr(paramiko_transport, "connect", lambda _: over_paramiko)
    monkeypatch.setattr(openssh_transport, "connect", lambda *_: None)
    connector = ssh_connect.Connector(config, TransportChoice.AUTO)
    assert connector.connect() == (over_paramiko, "")
    assert over_paramiko.why_unsupported == ""

    server.get_security_options().ciphers = ("3des-cbc",)
    with pytest.raises(paramiko.SSHException):
        server.renegotiate_keys()
    with pytest.raises(ConnectionBroken):
        _read_to_the_end(channel)
    transport, why = connector.connect()
    assert transport is None
    assert "no acceptable ciphers" in why
    connection.close()


def _read_to_the_end(channel: Channel) -> None:
    while True:
        with suppress(ChannelTimeout):
            if not channel.read(1):
                return
