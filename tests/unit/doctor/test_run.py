"""The checks as a whole: what is resolved, and how often."""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn

from nix_remote import settings
from nix_remote.doctor import run
from nix_remote.errors import ConnectionRefused
from nix_remote.ssh.config.host_config import HostConfig
from nix_remote.ssh.paramiko import transport as paramiko_transport

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def test_match_exec_runs_once_for_all_checks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dialed: list[HostConfig] = []

    def connect(config: HostConfig) -> NoReturn:
        dialed.append(config)
        raise ConnectionRefused(config.alias, config.address, "refused")

    monkeypatch.setattr(paramiko_transport, "connect", connect)
    log, file = tmp_path / "log", tmp_path / "config"
    file.write_text(f'Match exec "echo %h >>{log}"\n  Port 2222\nHost nix\n  HostName 127.0.0.1\n')
    environment = {"PATH": "/usr/bin:/bin", "NIX_REMOTE_SSH_CONFIG": str(file)}
    chosen = settings.choose(environment, host="nix", workspace=tmp_path)
    found = run.examine(run.Target(chosen, None, "me", tmp_path))
    assert [config.port for config in dialed] == [2222]
    assert any("[connection-refused]" in each.text for each in found)
    assert log.read_text() == "nix\n"
