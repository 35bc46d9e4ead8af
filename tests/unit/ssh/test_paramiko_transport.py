import socket
import threading
from contextlib import contextmanager
from pathlib import Path
from typing import Iterator

import pytest

from nix_remote.errors import ConnectionBroken, ServerBusy, SshConfigUnsupported
from nix_remote.ssh import paramiko_transport
from nix_remote.ssh.config import HostConfig, resolve, this_user


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
                with connection:
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
def test_a_server_that_drops_every_connection_is_given_up_in_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answer: bytes
) -> None:
    monkeypatch.setattr(paramiko_transport, "PATIENCE", 0.3)
    with listener(answer) as (port, taken):
        with pytest.raises(ServerBusy) as caught:
            paramiko_transport.connect(host(tmp_path, f"Port {port}"))
        assert f"tried {len(taken)} times" in caught.value.why
        assert len(taken) > 1
    assert "MaxStartups" in caught.value.fix


def test_a_server_that_speaks_something_else_is_not_tried_again(tmp_path: Path) -> None:
    with listener(b"220 mail ready\r\n") as (port, taken):
        with pytest.raises(ConnectionBroken):
            paramiko_transport.connect(host(tmp_path, f"Port {port}"))
        assert len(taken) == 1


def test_what_paramiko_cannot_do_is_refused_before_anything_is_sent(tmp_path: Path) -> None:
    with listener(b"") as (port, taken):
        config = host(tmp_path, f"Port {port}", "PKCS11Provider /x.so")
        with pytest.raises(SshConfigUnsupported) as caught:
            paramiko_transport.connect(config)
        assert taken == []
    assert caught.value.why == "PKCS11Provider /x.so"
