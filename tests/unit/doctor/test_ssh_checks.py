"""What doctor finds about the SSH agent."""

import base64
import socket
from pathlib import Path

import pytest

from nix_remote.doctor import ssh_checks
from nix_remote.doctor.finding import Status
from nix_remote.ssh.config.host_config import HostConfig
from nix_remote.ssh.config.resolve import for_this_user
from nix_remote.ssh.keys import ssh_agent
from nix_remote.ssh.keys.ssh_agent import AgentUnavailable


def host(tmp_path: Path, agent: str) -> HostConfig:
    config = tmp_path / "config"
    config.write_text(f"IdentityAgent {agent}\n")
    return for_this_user("nix", config, {})


def test_a_host_without_an_ssh_agent(tmp_path: Path) -> None:
    assert ssh_checks.agent(host(tmp_path, "none")).status is Status.OK


def test_an_ssh_agent_that_responds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ssh_agent, "probe", lambda _: frozenset())
    assert ssh_checks.agent(host(tmp_path, "/a")).text == "listens at /a"


def test_an_ssh_agent_that_does_not_respond_is_named_with_what_names_it(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(tmp_path / "socket"))
    finding = ssh_checks.agent(host(tmp_path, str(tmp_path / "socket")))
    assert finding.status is Status.WARNING
    assert f"IdentityAgent names {tmp_path}/socket: no SSH agent listens there" in finding.text
    assert "bazel shutdown" in finding.fix


def test_a_public_key_needs_its_private_key_in_the_ssh_agent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = b"\0\0\0\x0bssh-ed25519\0\0\0\x20" + bytes(32)
    encoded = base64.b64encode(key).decode()
    (tmp_path / "a.pub").write_text(f"ssh-ed25519 {encoded}\n")
    named = tmp_path / "named"
    named.write_text(f"IdentityAgent /a\nIdentityFile {tmp_path}/a.pub\n")
    config = for_this_user("nix", named, {})

    monkeypatch.setattr(ssh_agent, "probe", lambda _: frozenset({key}))
    assert [found.status for found in ssh_checks.keys(config)] == [Status.OK]

    def unavailable(_: Path) -> frozenset[bytes]:
        raise AgentUnavailable("gone")

    monkeypatch.setattr(ssh_agent, "probe", unavailable)
    (found,) = ssh_checks.keys(config)
    assert found.status is Status.WARNING
    assert "is a public key whose private key is not in the SSH agent" in found.text
