import socket
import threading
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Iterator

import pytest

from nix_remote.errors import (
    ConnectionBroken,
    NegotiationFailed,
    NixRemoteError,
    ServerBusy,
    SshConfigUnsupported,
)
from nix_remote.ssh import backoff
from nix_remote.ssh.config.host_config import HostConfig
from nix_remote.ssh.config.resolve import resolve, this_user
from nix_remote.ssh.paramiko import transport
from nix_remote.ssh.paramiko.handshake import Connection
from nix_remote.ssh.paramiko.unsupported import Unsupported


@contextmanager
def listener(answer: bytes) -> Iterator[tuple[int, list[int]]]:
    """Takes connections, sends `answer`, closes them; counts them."""
    taken: list[int] = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                taken.append(1)
                with connection, suppress(OSError):
                    connection.sendall(answer)
                    connection.shutdown(socket.SHUT_WR)
                    while connection.recv(1000):
                        pass

        threading.Thread(target=serve, daemon=True).start()
        yield server.getsockname()[1], taken
        server.shutdown(socket.SHUT_RDWR)


def host(tmp_path: Path, *lines: str) -> HostConfig:
    file = tmp_path / "config"
    file.write_text("\n".join(["HostName 127.0.0.1", "IdentityFile none", *lines, ""]))
    return resolve("nix", file, this_user({}))


@pytest.mark.parametrize(
    "answer", [b"", b"Not allowed at this time\r\n", b"Exceeded MaxStartups\r\n"]
)
def test_a_server_that_drops_every_connection_is_given_up_eventually(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answer: bytes
) -> None:
    monkeypatch.setattr(backoff, "_GIVE_UP_AFTER", 0.3)
    with listener(answer) as (port, taken):
        with pytest.raises(ServerBusy) as caught:
            transport.connect(host(tmp_path, f"Port {port}"))
        assert f"tried {len(taken)} times" in caught.value.why
        assert len(taken) > 1
    assert "MaxStartups" in caught.value.fix


def test_a_server_of_another_protocol_is_not_retried(tmp_path: Path) -> None:
    with listener(b"220 mail ready\r\n") as (port, taken):
        with pytest.raises(Unsupported) as caught:
            transport.connect(host(tmp_path, f"Port {port}"))
        assert len(taken) == 1
    assert isinstance(caught.value.error, NegotiationFailed)


def test_an_unsupported_config_is_refused_before_connecting(tmp_path: Path) -> None:
    with listener(b"") as (port, taken):
        config = host(tmp_path, f"Port {port}", "PKCS11Provider /x.so")
        with pytest.raises(Unsupported) as caught:
            transport.connect(config)
        assert taken == []
    assert isinstance(caught.value.error, SshConfigUnsupported)
    assert caught.value.error.why == "PKCS11Provider /x.so"


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (b"Gr\xfc\xdfe\r\n", NegotiationFailed),
        (b"\xff\xfe\x80\r\n" * 3, NegotiationFailed),
        (b"hello\r\n" * 1000, NegotiationFailed),
        (b"x" * 100_000 + b"\r\n", NegotiationFailed),
        (b"SSH-1.5-old\r\n", NegotiationFailed),
        (b"SSH-2.0\r\n", NegotiationFailed),
        (b"SSH-2.0-x\r\n" + b"\xff" * 3000, NegotiationFailed),
        (b"SSH-2.0-x\r\n", ConnectionBroken),
    ],
    ids=["latin-1", "no-text", "1000-lines", "long-line", "version-1", "no-name", "noise", "end"],
)
def test_what_paramiko_cannot_negotiate_is_left_to_ssh(
    tmp_path: Path, answer: bytes, kind: type[NixRemoteError]
) -> None:
    with listener(answer) as (port, taken):
        with pytest.raises(Unsupported) as caught:
            transport.connect(host(tmp_path, f"Port {port}", "ConnectTimeout 5"))
        assert len(taken) == 1
    assert type(caught.value.error) is kind
    assert "paramiko" in caught.value.why


@pytest.mark.parametrize("step", ["_check_banner", "_send_kex_init", "__init__"])
def test_a_defect_of_paramiko_is_left_to_ssh(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    def fail(*_: object) -> None:
        raise TypeError("a defect")

    monkeypatch.setattr(Connection, step, fail)
    with listener(b"SSH-2.0-x\r\n") as (port, _):
        config = host(tmp_path, f"Port {port}")
        with pytest.raises(Unsupported, match="a defect") as caught:
            transport.connect(config)
    assert type(caught.value.error) is NegotiationFailed


def test_algorithms_that_this_paramiko_lacks_are_not_offered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        Connection, "_preferred_ciphers", ("aes128-ctr", "aes192-ctr", "aes256-ctr")
    )
    ours, theirs = socket.socketpair()
    with ours, theirs:
        connection = Connection(ours, host(tmp_path))
        assert connection.get_security_options().ciphers == (
            "aes128-ctr",
            "aes192-ctr",
            "aes256-ctr",
        )
        connection.close()
