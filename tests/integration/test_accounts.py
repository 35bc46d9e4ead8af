"""Accounts that may run only one command: the chosen protocol, and the limits of the promise."""

from __future__ import annotations

import shlex
from typing import Iterator

import pytest

from lab import nix, sshd
from lab.host import Host
from lab.lab import Lab
from lab.nix import SigningKeys, Version
from tests.conftest import AddEntry
from tests.integration.copier import (
    Copier,
    assert_kept_whole,
    new_closure,
    over_openssh_if_thorough,
)
from tests.integration.ssh_entries import leading_to, ssh_server
from tests.integration.versions import makes_roots_on_request

_WORKER = "nix-daemon --stdio"
_SERVE = "nix-store --serve --write"


def trust(server: Host, account: str) -> None:
    """Adds an account to the trusted users of the server's Nix."""
    line = f"extra-trusted-users = {account}\n"
    before = server.read("/etc/nix/nix.conf")
    if line not in before:
        server.write("/etc/nix/nix.conf", before + line)
        nix.restart_daemon(server)


def forced(server: Host, workstation: Host, name: str, command: str) -> str:
    """An account that may run that command and nothing else."""
    sshd.add_account(server, name)
    sshd.authorize(
        server, name, sshd.public_key(workstation), options=f'restrict,command="{command}"'
    )
    return name


def restricted(server: Host, workstation: Host, name: str, command: str) -> str:
    """One that the server's Nix trusts."""
    forced(server, workstation, name, command)
    trust(server, name)
    return name


@over_openssh_if_thorough
def test_the_worker_protocol_alone_is_enough(lab: Lab, copier: Copier, entry: AddEntry) -> None:
    account = restricted(lab.server, lab.workstation, "worker-only", _WORKER)
    closure = new_closure(lab.workstation)
    alias = entry("odd", f"User {account}")
    if not makes_roots_on_request(lab.server):
        copier.fails("root-refused", closure[-1], alias=alias)
        return
    text = copier.run("-v", closure[-1], alias=alias).check().stderr
    assert "worker protocol " in text
    assert f"/home/{account}/.local/state/nix-remote/gcroots/" in text
    assert_kept_whole(lab.server, lab.workstation, closure)
    nix.collect_garbage(lab.server)
    assert_kept_whole(lab.server, lab.workstation, closure)


@pytest.mark.parametrize("version", list(Version), ids=lambda version: str(version.value))
def test_an_account_for_the_worker_protocol_that_the_daemon_does_not_serve_is_told_so(
    lab: Lab, copier: Copier, entry: AddEntry, version: Version
) -> None:
    server = lab.server_with(version)
    # A trusted one would be served.
    account = forced(server, lab.workstation, "not-served", _WORKER)
    alias = entry("odd", f"HostName {server.address}", f"User {account}")
    top = new_closure(lab.workstation)[-1]
    with nix.configured(server, "allowed-users = root copier"):
        text = copier.fails("account-not-allowed", top, alias=alias)
    assert f"add {account} to allowed-users" in text
    assert "trying again" not in text


@over_openssh_if_thorough
def test_an_account_for_the_serve_protocol_is_recognised_and_its_lack_of_roots_is_told(
    lab: Lab, copier: Copier, entry: AddEntry
) -> None:
    account = restricted(lab.server, lab.workstation, "serve-only", _SERVE)
    closure = new_closure(lab.workstation)
    text = copier.fails("root-refused", "-v", closure[-1], alias=entry("odd", f"User {account}"))
    assert "serve protocol 2.7, because Nix on odd ended the session" in text
    assert "nix-store --realise" in text
    # The paths that were sent are there, but without the promise that they stay.
    assert_kept_whole(lab.server, lab.workstation, closure)


def test_an_old_server_needs_more_than_the_worker_protocol(
    lab: Lab, copier: Copier, entry: AddEntry
) -> None:
    server = lab.server_with(Version.V2_8)
    account = restricted(server, lab.workstation, "worker-only", _WORKER)
    alias = entry(
        "odd",
        f"HostName {server.address}",
        f"User {account}",
    )
    text = copier.fails("root-refused", new_closure(lab.workstation)[-1], alias=alias)
    assert ".local/state/nix-remote/gcroots" in text


@pytest.mark.parametrize("command", [_WORKER, _SERVE])
def test_roots_cannot_be_listed_without_a_shell(lab: Lab, entry: AddEntry, command: str) -> None:
    name = f"listing-{command.split()[0]}"
    account = restricted(lab.server, lab.workstation, name, command)
    alias = entry("odd", f"User {account}")
    listed = lab.workstation.run(["nix-remote", "roots", f"--host={alias}", "list"], timeout=60)
    assert listed.status == 18
    assert "error[roots-unreadable]" in listed.stderr


# Accounts as `nix-remote setup server` makes them.


@pytest.fixture(scope="module")
def keys(lab: Lab) -> SigningKeys:
    return nix.new_signing_keys(lab.workstation, "account-1")


@pytest.fixture(
    scope="module",
    params=[
        pytest.param(Version.V2_8, id="server-2.8"),
        pytest.param(Version.V2_26, id="server-2.26", marks=pytest.mark.thorough),
        pytest.param(Version.CURRENT, id="server-current"),
    ],
)
def least(lab: Lab, request: pytest.FixtureRequest, keys: SigningKeys) -> Iterator[Host]:
    """A server with the account of `setup server`, which trusts a key and not the account."""
    server = lab.server_with(request.param)
    workstation = lab.workstation
    sshd.public_key(workstation)
    script = workstation.sh("nix-remote setup server --public-key ~/.ssh/id_ed25519.pub")
    for _ in range(2):  # safe to repeat
        server.run(["sh"], stdin=script).check()
    assert server.sh("wc -l < /var/lib/nix-remote/.ssh/authorized_keys").strip() == "1"
    with nix.configured(server, f"extra-trusted-public-keys = {keys.public}"):
        yield server


def least_alias(entry: AddEntry, server: Host) -> str:
    return entry("least", f"HostName {server.address}", "User nix-remote")


@over_openssh_if_thorough
@pytest.mark.parametrize("protocol", ["worker", "serve"])
def test_the_least_account_keeps_the_whole_promise(
    lab: Lab, copier: Copier, entry: AddEntry, least: Host, keys: SigningKeys, protocol: str
) -> None:
    closure = new_closure(lab.workstation, megabytes=1)
    alias = least_alias(entry, least)
    env = {"NIX_REMOTE_PROTOCOL": protocol}
    copied = copier.copy("--sign-key", keys.secret, closure[-1], alias=alias, env=env)
    nix.collect_garbage(least)
    assert_kept_whole(least, lab.workstation, closure)
    assert copied["roots"].keys() == {closure[-1]}
    listed = ["nix-remote", "roots", f"--host={alias}", "list"]
    assert closure[-1] in lab.workstation.run(listed, timeout=60).check().stderr
    prune = ["nix-remote", "roots", f"--host={alias}", "prune", "--older-than=0s"]
    least.sh("find /var/lib/nix-remote/.local -type l -exec touch -h -d 2001-01-01 {} +")
    assert "removed " in lab.workstation.run(prune, timeout=60).check().stderr
    assert closure[-1] in nix.collect_garbage(least)


_NOT_ALLOWED = (
    *("id", "sh", "nix-daemon --stdio; id", "nix-daemon --stdio\nid", "$(id)", "`id`"),
    *("nix-store --gc", "nix-store --delete /nix/store/x", "nix-store --serve", "scp -t /tmp"),
    *("internal-sftp", "nix-daemon", "nix-store --gc --max-freed 0 --option x y"),
)


def test_the_least_account_runs_nothing_else(lab: Lab, entry: AddEntry, least: Host) -> None:
    alias = least_alias(entry, least)
    for command in _NOT_ALLOWED:
        done = lab.workstation.run(["ssh", "-o", "BatchMode=yes", alias, command], timeout=20)
        assert done.status == 126
        assert done.stdout == ""
        assert "nix-remote-dispatcher: this account may not run that" in done.stderr


def test_the_least_account_has_no_shell_no_terminal_no_forwarding(
    lab: Lab, entry: AddEntry, least: Host
) -> None:
    alias = least_alias(entry, least)
    ssh = ["ssh", "-o", "BatchMode=yes", "-o", "ExitOnForwardFailure=yes"]
    assert lab.workstation.run([*ssh, alias], stdin="id\n", timeout=20).stdout == ""
    terminal = lab.workstation.run([*ssh, "-tt", alias], timeout=20)
    assert "PTY allocation request failed" in terminal.stderr
    forward = [*ssh, "-N", "-R", "2399:localhost:1", alias]
    assert lab.workstation.run(forward, timeout=20).status == 255
    sftp = lab.workstation.run([*ssh, "-s", alias, "sftp"], timeout=20)
    assert sftp.stdout == ""


_PLANT = """
import sys
from nix_remote import events, settings
from nix_remote.errors import RootRefused
from nix_remote.server import connect
from nix_remote.server.stores.base import DurableRoot
chosen = settings.choose(host=sys.argv[1])
with connect.open_store(chosen, events.ignore) as store:
    try:
        store.secure([sys.argv[2]], [DurableRoot(sys.argv[2], sys.argv[3])])
    except RootRefused as refused:
        print("refused", refused.why)
"""


@pytest.mark.parametrize(
    "place", [".ssh/authorized_keys2", ".ssh/rc", ".bashrc", ".profile", ".nix-profile", "x/y"]
)
def test_a_root_cannot_be_planted_where_it_would_be_obeyed(
    lab: Lab, copier: Copier, entry: AddEntry, place: str
) -> None:
    """An account may fill any folder that it owns with durable roots, so it owns no other."""
    server = lab.server
    sshd.public_key(lab.workstation)
    make = "nix-remote setup server --account planter --public-key ~/.ssh/id_ed25519.pub"
    server.run(["sh"], stdin=lab.workstation.sh(make)).check()
    path = new_closure(lab.workstation)[-1]
    copier.copy(path)
    lab.workstation.write("/root/plant.py", _PLANT)
    alias = entry("planter", "User planter")
    plant = ["/opt/nix-remote/bin/python", "/root/plant.py", alias, path, place]
    lab.workstation.run(plant, timeout=30).check()
    assert server.run(["test", "-L", f"/var/lib/planter/{place}"]).status == 1
    # It went where links keep paths, and nothing else reads them.
    assert (
        server.run(["test", "-L", f"/nix/var/nix/gcroots/nix-remote/planter/{place}"]).status == 0
    )


def test_a_forced_command_does_not_confine_an_account_that_owns_its_home_folder(
    lab: Lab, copier: Copier, entry: AddEntry
) -> None:
    """Why the account of `setup server` does not."""
    account = restricted(lab.server, lab.workstation, "home-owner", _WORKER)
    lab.server.sh(f"rm -f /home/{account}/.bashrc")
    alias = entry("owner", f"User {account}")
    lab.workstation.write("/root/bashrc", "id -un > /tmp/was-here\n")
    path = lab.workstation.sh("nix-store --add /root/bashrc").strip()
    copier.copy(path, alias=alias)
    lab.workstation.write("/root/plant.py", _PLANT)
    plant = ["/opt/nix-remote/bin/python", "/root/plant.py", alias, path, ".bashrc"]
    assert lab.workstation.run(plant, timeout=30).check().stdout == ""
    copier.run(path, alias=alias)
    assert lab.server.read("/tmp/was-here").strip() == account


# Login shells, and what they do at a login.


def with_shell(lab: Lab, name: str, shell: str, *, rc: str = "", text: str = "") -> str:
    """A trusted account with that login shell; `rc` is the file it reads, below its home."""
    path = lab.server.sh(f"command -v {shell}").strip()
    sshd.add_account(lab.server, name, shell=path)
    sshd.authorize(lab.server, name, sshd.public_key(lab.workstation))
    if rc:
        lab.server.write(f"/home/{name}/{rc}", text)
        lab.server.sh(f"chown -R {name}: /home/{name}")
    trust(lab.server, name)
    return name


SHELLS = [
    ("bash", ".bashrc"),
    ("dash", ".profile"),
    ("zsh", ".zshenv"),
    ("fish", ".config/fish/config.fish"),
    ("tcsh", ".cshrc"),
]


@over_openssh_if_thorough
@pytest.mark.parametrize(("shell", "rc"), SHELLS)
def test_every_login_shell_will_do(
    lab: Lab, copier: Copier, entry: AddEntry, shell: str, rc: str
) -> None:
    account = with_shell(lab, f"likes-{shell}", shell)
    alias = entry("odd", f"User {account}")
    closure = new_closure(lab.workstation)
    copier.copy(closure[-1], alias=alias, env={"NIX_REMOTE_PROTOCOL": "serve"})
    assert_kept_whole(lab.server, lab.workstation, closure)
    listed = ["nix-remote", "roots", f"--host={alias}", "list"]
    assert closure[-1] in lab.workstation.run(listed, timeout=60).check().stderr
    lab.server.sh(f"find /home/{account}/.local -type l -exec touch -h -d 2001-01-01 {{}} +")
    prune = ["nix-remote", "roots", f"--host={alias}", "prune", "--older-than=1h"]
    assert "removed 1 root " in lab.workstation.run(prune, timeout=60).check().stderr


@over_openssh_if_thorough
@pytest.mark.parametrize(("shell", "rc"), SHELLS)
def test_nix_off_the_path_is_found_whatever_the_login_shell(
    lab: Lab, copier: Copier, entry: AddEntry, shell: str, rc: str
) -> None:
    account = with_shell(lab, f"likes-{shell}", shell)
    # The only folder of the PATH contains only a shell.
    lab.server.sh("mkdir -p /opt/bare; ln -sf /usr/bin/sh /opt/bare/sh")
    lab.server.sh("ln -sf /usr/bin/nix-daemon /usr/local/bin/nix-daemon")
    try:
        with ssh_server(lab.server, 2304, "SetEnv PATH=/opt/bare") as bare:
            alias = entry("odd", f"User {account}", *leading_to(bare))
            copier.copy(new_closure(lab.workstation)[-1], alias=alias)
    finally:
        lab.server.sh("rm /usr/local/bin/nix-daemon")


@over_openssh_if_thorough
@pytest.mark.parametrize(("shell", "rc"), [each for each in SHELLS if each[0] != "dash"])
def test_the_output_of_a_shell_that_greets_is_shown(
    lab: Lab, copier: Copier, entry: AddEntry, shell: str, rc: str
) -> None:
    account = with_shell(lab, f"loud-{shell}", shell, rc=rc, text="echo Welcome to the machine\n")
    path = new_closure(lab.workstation)[-1]
    text = copier.fails("unexpected-output", path, alias=entry("odd", f"User {account}"))
    assert "Welcome to the machine" in text


@over_openssh_if_thorough
@pytest.mark.parametrize(("shell", "rc"), [each for each in SHELLS if each[0] != "dash"])
def test_what_a_shell_says_on_standard_error_does_no_harm(
    lab: Lab, copier: Copier, entry: AddEntry, shell: str, rc: str
) -> None:
    say = "sh -c 'echo careful >&2'\n"
    account = with_shell(lab, f"grumbling-{shell}", shell, rc=rc, text=say)
    copier.copy(new_closure(lab.workstation)[-1], alias=entry("odd", f"User {account}"))


@over_openssh_if_thorough
def test_an_account_without_a_shell_but_with_a_forced_command_is_told_why(
    lab: Lab, copier: Copier, entry: AddEntry
) -> None:
    server, name = lab.server, "no-shell"
    sshd.add_account(server, name, shell="/usr/sbin/nologin")
    options = f"restrict,command={shlex.quote(_WORKER)}".replace("'", '"')
    sshd.authorize(server, name, sshd.public_key(lab.workstation), options=options)
    path = new_closure(lab.workstation)[-1]
    text = copier.fails("unexpected-output", path, alias=entry("odd", f"User {name}"))
    assert "account is currently not available" in text
    assert "login shell is not nologin" in text
