"""What a copy request resolves, and how often."""

from __future__ import annotations

from pathlib import Path
from typing import NoReturn

import pytest

from nix_remote import events, settings
from nix_remote.agent import request_queue
from nix_remote.copy.engine import CopyOptions
from nix_remote.copy.request import CopyRequest
from nix_remote.errors import ConnectionRefused
from nix_remote.server.stores.base import Question
from nix_remote.ssh.config.host_config import HostConfig
from nix_remote.ssh.openssh import transport as openssh_transport
from nix_remote.ssh.paramiko import transport as paramiko_transport


def request(tmp_path: Path, config: str) -> CopyRequest:
    file = tmp_path / "config"
    file.write_text(config)
    environment = {"PATH": "/usr/bin:/bin", "NIX_REMOTE_SSH_CONFIG": str(file)}
    chosen = settings.choose(environment, host="nix", workspace=tmp_path)
    return CopyRequest(chosen, None, (), CopyOptions(), None)


@pytest.fixture
def dialed(monkeypatch: pytest.MonkeyPatch) -> list[HostConfig]:
    """The hosts that a transport was asked to connect to; none of them accepts."""
    configs: list[HostConfig] = []

    def connect(config: HostConfig, *_: object) -> NoReturn:
        configs.append(config)
        raise ConnectionRefused(config.alias, config.address, "refused")

    monkeypatch.setattr(paramiko_transport, "connect", connect)
    monkeypatch.setattr(openssh_transport, "connect", connect)
    return configs


def test_match_exec_runs_once_for_a_request(tmp_path: Path, dialed: list[HostConfig]) -> None:
    log = tmp_path / "log"
    asked = request(
        tmp_path,
        f'Match exec "echo %h >>{log}"\n  Port 2222\nHost nix\n  HostName 127.0.0.1\n',
    )
    assert not log.exists()
    key = request_queue.key(asked)
    assert log.read_text() == "nix\n"

    queue = request_queue.new_queue(asked)
    for _ in range(2):  # a session that has ended is opened again
        with pytest.raises(ConnectionRefused), queue.open_with(events.ignore)(Question(())):
            pass
    assert log.read_text() == "nix\n"

    # The queue connects to what its key says.
    assert [config.port for config in dialed] == [2222, 2222]
    assert all(config is asked.destination for config in dialed)
    assert request_queue.key(asked) == key
    assert log.read_text() == "nix\n"
