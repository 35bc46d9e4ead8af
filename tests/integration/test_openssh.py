"""Features of the transport over OpenSSH alone, and when it is chosen."""

from __future__ import annotations

import pytest

from lab import nix, sshd
from lab.lab import ALIAS, Lab
from tests.conftest import AddEntry
from tests.integration.copier import Copier, assert_kept_whole, new_closure

OPENSSH = "--transport=openssh"


@pytest.fixture(scope="module")
def path(lab: Lab) -> str:
    """A store path that could be copied."""
    return new_closure(lab.workstation)[-1]


def test_it_is_chosen_and_said_why_when_the_configuration_needs_it(
    copier: Copier, path: str, entry: AddEntry
) -> None:
    alias = entry("odd", "KnownHostsCommand /bin/cat /root/.ssh/known_hosts")
    text = copier.run("-v", path, alias=alias).check().stderr
    assert "connected to odd: openssh, " in text
    assert "(needed for KnownHostsCommand" in text


def test_paramiko_refuses_what_it_cannot_follow(copier: Copier, path: str, entry: AddEntry) -> None:
    alias = entry("odd", "KnownHostsCommand /bin/cat /root/.ssh/known_hosts")
    text = copier.fails("ssh-config-unsupported", "--transport=paramiko", path, alias=alias)
    assert "--transport openssh" in text


def test_the_environment_chooses_as_well(copier: Copier, path: str) -> None:
    text = copier.run("-v", path, env={"NIX_REMOTE_TRANSPORT": "openssh"}).check().stderr
    assert "connected to nix-server: openssh, " in text
    copier.fails("invalid-setting", path, env={"NIX_REMOTE_TRANSPORT": "telnet"}, within=5)


def test_another_configuration_file_is_followed(lab: Lab, copier: Copier, path: str) -> None:
    lab.workstation.sh("sed 's/^Host nix-server$/Host elsewhere/' ~/.ssh/config > /root/elsewhere")
    env = {"NIX_REMOTE_SSH_CONFIG": "/root/elsewhere"}
    copier.copy(OPENSSH, path, alias="elsewhere", env=env)


def test_a_connection_that_is_open_already_is_used_and_stays(
    lab: Lab, copier: Copier, path: str, entry: AddEntry
) -> None:
    alias = entry("odd", "ControlPath /root/master")
    lab.workstation.sh(f"ssh -fNM {alias} >/dev/null 2>&1 </dev/null")
    try:
        before = lab.ssh_server.logins()
        text = copier.run(OPENSSH, "-v", path, alias=alias).check().stderr
        assert "over an existing connection" in text
        assert lab.ssh_server.logins() == before
        lab.workstation.sh(f"ssh -O check {alias}")
    finally:
        lab.workstation.sh(f"ssh -O exit {alias}")


def test_a_machine_without_ssh_is_told_so(lab: Lab, copier: Copier, path: str) -> None:
    programs = "/usr/bin/sh /usr/bin/timeout /usr/local/bin/nix-remote"
    lab.workstation.sh(f"mkdir -p /opt/without; ln -sf {programs} -t /opt/without")
    text = copier.fails("openssh-missing", OPENSSH, path, env={"PATH": "/opt/without"})
    assert "--transport paramiko" in text


def test_nothing_that_the_configuration_turns_on_is_done_here(
    lab: Lab, copier: Copier, path: str, entry: AddEntry
) -> None:
    alias = entry(
        "odd",
        *("PermitLocalCommand yes", "LocalCommand touch /root/was-run", "RemoteCommand date"),
        *("RequestTTY force", "ForwardAgent yes", "LocalForward 2399 localhost:1"),
        *("ControlMaster auto", "ControlPath /root/kept", "ControlPersist 10m", "LogLevel QUIET"),
    )
    copier.copy(OPENSSH, path, alias=alias)
    assert lab.workstation.run(["ls", "/root/was-run", "/root/kept"]).stdout == ""
    assert lab.workstation.run(["pgrep", "-x", "ssh"]).status == 1


def test_no_key_is_asked_for_a_passphrase_even_with_a_terminal_at_hand(
    lab: Lab, copier: Copier, path: str, entry: AddEntry
) -> None:
    locked = sshd.new_key(lab.workstation, passphrase="secret")
    alias = entry("odd", f"IdentityFile {locked}")
    inner = " ".join(copier.command(OPENSSH, path, alias=alias))
    done = lab.workstation.run(["script", "-qec", inner, "/dev/null"], timeout=20)
    assert "error[login-refused]" in done.stdout
    assert "assphrase for" not in done.stdout


def test_the_serve_protocol_with_its_several_sessions_logs_in_once(
    lab: Lab, copier: Copier
) -> None:
    closure = new_closure(lab.workstation)
    before = lab.ssh_server.logins()
    env = {"NIX_REMOTE_PROTOCOL": "serve"}
    copier.copy(OPENSSH, "--check=contents", closure[-1], alias=ALIAS, env=env)
    assert lab.ssh_server.logins() == before + 1
    assert_kept_whole(lab.server, lab.workstation, closure)
    assert nix.is_valid(lab.server, closure[-1])
