"""Every problem before a copy begins leads to a clear error, soon."""

from __future__ import annotations

import pytest

from lab import sshd
from lab.host import wait_until
from lab.lab import ACCOUNT, ALIAS, Lab
from tests.conftest import AddEntry
from tests.integration.copier import Copier, new_closure, over_both_transports
from tests.integration.ssh_entries import leading_to, ssh_server


@pytest.fixture(scope="module")
def path(lab: Lab) -> str:
    """A store path that could be copied."""
    return new_closure(lab.workstation)[-1]


@over_both_transports
def test_an_alias_that_is_nowhere(copier: Copier, path: str) -> None:
    text = copier.fails("host-not-found", path, alias="no-such-server")
    assert "your SSH config has no Host entry for no-such-server" in text


@over_both_transports
def test_an_alias_whose_host_name_does_not_resolve(
    copier: Copier, path: str, entry: AddEntry
) -> None:
    text = copier.fails("host-not-found", path, alias=entry("odd", "HostName no.such.host"))
    assert "its HostName in /root/.ssh/config, no.such.host, does not resolve" in text


@over_both_transports
def test_a_port_without_a_listener(copier: Copier, path: str, entry: AddEntry) -> None:
    text = copier.fails("connection-refused", path, alias=entry("odd", "Port 1"))
    assert "Connection refused" in text


@over_both_transports
def test_a_host_that_drops_everything(lab: Lab, copier: Copier, path: str, entry: AddEntry) -> None:
    lab.executor.sh(f"ip route add blackhole {lab.workstation.address}/32")
    try:
        alias = entry("odd", f"HostName {lab.executor.address}")
        text = copier.fails("connection-timed-out", path, alias=alias, within=10)
        assert "waited 2 s for the connection" in text
    finally:
        lab.executor.sh(f"ip route delete blackhole {lab.workstation.address}/32")


@over_both_transports
def test_a_port_that_accepts_and_then_says_nothing(
    lab: Lab, copier: Copier, path: str, entry: AddEntry
) -> None:
    listen = "import socket, time; s = socket.create_server(('', 2300)); time.sleep(600)"
    lab.server.start_service("silent", ["python3", "-c", listen])
    alias = entry("odd", "Port 2300")
    try:
        wait_until(
            lambda: "connection-timed-out" in copier.run(path, alias=alias).stderr, "the listener"
        )
        text = copier.fails("connection-timed-out", path, alias=alias, within=10)
        assert "waited 2 s for an SSH greeting" in text
    finally:
        lab.server.stop_service("silent")


@over_both_transports
def test_a_port_where_something_else_answers(
    lab: Lab, copier: Copier, path: str, entry: AddEntry
) -> None:
    serve = ["python3", "-m", "http.server", "2301"]
    lab.server.start_service("web", serve)
    try:
        alias = entry("odd", "Port 2301")
        wait_until(
            lambda: "connection-refused" not in copier.run(path, alias=alias).stderr, "the server"
        )
        text = copier.fails("negotiation-failed", path, alias=alias, within=30)
        assert "which is not an SSH greeting" in text
    finally:
        lab.server.stop_service("web")


@over_both_transports
def test_an_unknown_host_key(lab: Lab, copier: Copier, path: str, entry: AddEntry) -> None:
    text = copier.fails(
        "host-key-unknown", path, alias=entry("odd", "UserKnownHostsFile /dev/null")
    )
    fingerprint = lab.server.sh("ssh-keygen -lf /etc/ssh/lab_host_key.pub").split()[1]
    assert f"ssh-ed25519 {fingerprint}" in text
    assert f"[{lab.server.address}]:2222" in text


@over_both_transports
def test_a_changed_host_key(lab: Lab, copier: Copier, path: str, entry: AddEntry) -> None:
    other = sshd.new_key(lab.workstation)
    key = " ".join(lab.workstation.read(f"{other}.pub").split()[:2])
    lab.workstation.write("/root/changed", f"[{lab.server.address}]:{sshd.PORT} {key}\n")
    text = copier.fails(
        "host-key-changed", path, alias=entry("odd", "UserKnownHostsFile /root/changed")
    )
    assert "do not trust this connection" in text
    assert "ssh-keygen -f /root/changed -R" in text


@over_both_transports
def test_a_key_that_the_server_does_not_accept(
    lab: Lab, copier: Copier, path: str, entry: AddEntry
) -> None:
    stranger = sshd.new_key(lab.workstation)
    alias = entry("odd", f"IdentityFile {stranger}", "User root")
    text = copier.fails("login-refused", path, alias=alias)
    assert "refuses the login as root" in text
    assert stranger in text


@over_both_transports
def test_a_key_with_a_passphrase_is_never_asked_for(
    lab: Lab, copier: Copier, path: str, entry: AddEntry
) -> None:
    locked = sshd.new_key(lab.workstation, passphrase="secret")
    # A key that would be let in: OpenSSH asks that first.
    sshd.authorize(lab.server, ACCOUNT, lab.workstation.read(f"{locked}.pub").strip())
    alias = entry("odd", f"IdentityFile {locked}")
    text = copier.fails("login-refused", path, alias=alias)
    assert f"{locked} (needs a passphrase and is not in the SSH agent)" in text
    assert "ssh-add" in text


@over_both_transports
def test_a_server_without_nix(lab: Lab, copier: Copier, path: str, entry: AddEntry) -> None:
    with ssh_server(lab.server, 2302, "SetEnv PATH=/var/empty") as without:
        text = copier.fails("nix-not-found", path, alias=entry("odd", *leading_to(without)))
        assert "nix-daemon" in text


@over_both_transports
@pytest.mark.parametrize("sessions", [10, 1], ids=["many-sessions", "one-session"])
def test_nix_in_a_usual_place_off_the_path_is_found(
    lab: Lab, copier: Copier, path: str, entry: AddEntry, sessions: int
) -> None:
    # A folder with a shell and nothing else is the whole PATH that sshd gives.
    lab.server.sh("mkdir -p /opt/bare; ln -sf /usr/bin/sh /opt/bare/sh")
    lab.server.sh("ln -sf /usr/bin/nix-daemon /usr/local/bin/nix-daemon")
    options = ("SetEnv PATH=/opt/bare", f"MaxSessions {sessions}")
    try:
        with ssh_server(lab.server, 2303, *options) as without:
            copier.copy(path, alias=entry("odd", *leading_to(without)))
    finally:
        lab.server.sh("rm /usr/local/bin/nix-daemon")


@over_both_transports
@pytest.mark.parametrize(
    ("account", "shell", "rc"),
    [("chatty", "/bin/bash", "echo Welcome to the machine"), ("nobody2", "/usr/sbin/nologin", "")],
)
def test_a_shell_that_prints_something(
    lab: Lab, copier: Copier, path: str, entry: AddEntry, account: str, shell: str, rc: str
) -> None:
    sshd.add_account(lab.server, account, shell=shell)
    sshd.authorize(lab.server, account, sshd.public_key(lab.workstation))
    lab.server.write(f"/home/{account}/.bashrc", f"{rc}\n")
    text = copier.fails("unexpected-output", path, alias=entry("odd", f"User {account}"))
    assert ("Welcome to the machine" in text) if rc else ("account is currently not" in text)


@over_both_transports
def test_a_user_whom_the_servers_nix_does_not_trust(
    lab: Lab, copier: Copier, path: str, entry: AddEntry
) -> None:
    sshd.add_account(lab.server, "guest")
    sshd.authorize(lab.server, "guest", sshd.public_key(lab.workstation))
    own = new_closure(lab.workstation)
    text = copier.fails("signature-required", own[-1], alias=entry("odd", "User guest"))
    assert "trusted-users = root guest" in text


def test_a_path_that_is_not_in_the_store(copier: Copier) -> None:
    assert "'/etc/passwd'" in copier.fails("not-a-store-path", "/etc/passwd", within=5)


def test_a_path_that_is_not_valid_here(copier: Copier, path: str) -> None:
    absent = path.replace("-top-", "-gone-")
    assert f"nix-store --realise {absent}" in copier.fails("path-not-valid", absent, within=5)


def test_a_path_whose_content_is_gone(lab: Lab, copier: Copier) -> None:
    closure = new_closure(lab.workstation)
    lab.workstation.sh(f"mv {closure[-1]} /root/moved")
    try:
        copier.fails("path-content-missing", closure[-1])
    finally:
        lab.workstation.sh(f"mv /root/moved {closure[-1]}")
    copier.copy(closure[-1])


def test_a_path_whose_content_has_changed(lab: Lab, copier: Copier) -> None:
    closure = new_closure(lab.workstation)
    top = closure[-1]
    lab.workstation.sh(f"chmod u+w {top}/references; printf x > {top}/references")
    text = copier.fails("path-content-changed", top)
    assert f"nix-store --repair-path {top}" in text
    same_size = new_closure(lab.workstation)[-1]
    lab.workstation.sh(f"chmod u+w {same_size}/references; sed -i s/^./X/ {same_size}/references")
    assert "hash mismatch" in copier.fails("path-content-changed", same_size)


@over_both_transports
@pytest.mark.parametrize(
    "alias", ["a b", "'nix'", '"nix"', "$(touch /root/owned)", "a\nb", "-oProxyCommand=x", "-x"]
)
def test_a_name_that_a_shell_could_misread(lab: Lab, copier: Copier, path: str, alias: str) -> None:
    copier.fails("invalid-host-alias", path, alias=alias, within=5)
    by_environment = lab.workstation.run(
        ["nix-remote", "copy", path], env={"BAZEL_NIX_REMOTE": alias}
    )
    assert "error[invalid-host-alias]" in by_environment.stderr
    assert by_environment.status == 2
    assert lab.workstation.run(["test", "-e", "/root/owned"]).status == 1


@over_both_transports
def test_the_good_entry_still_works(copier: Copier, path: str) -> None:
    copier.copy(path, alias=ALIAS)
