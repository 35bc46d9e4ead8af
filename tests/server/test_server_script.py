"""The script of `setup server` on a whole system: Debian with systemd, its daemon behind a socket.

The tests build on each other: the script fails, succeeds, and is run again.
"""

from __future__ import annotations

from typing import Iterator

import pytest

from tests.server.conftest import ACCOUNT, Server

pytestmark = pytest.mark.timeout(600)

HOME = f"/var/lib/{ACCOUNT}"

# Stands before the real programs, and fails once, for a call that says what it looks for.
_FAILING = r"""
#!/bin/sh
name=${0##*/}
case "$name $*" in
  *"$(cat /run/failing/needle)"*)
    if [ ! -e /run/failing/failed ]; then
      : >/run/failing/failed
      echo "$name: no space left on device" >&2
      exit 1
    fi
    ;;
esac
PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
exec "$name" "$@"
"""
_PROGRAMS = ("useradd", "usermod", "mkdir", "chown", "mv", "systemctl", "rpc.nfsd", "exportfs")


def failing(server: Server, needle: str) -> str:
    """Shell commands for before the script: from then on that call fails, once."""
    server.machine.write("/run/failing/program", _FAILING.lstrip(), mode="755")
    server.machine.write("/run/failing/needle", needle)
    server.machine.sh(
        "cd /run/failing; rm -f failed;"
        + f"for each in {' '.join(_PROGRAMS)}; do ln -sf program $each; done"
    )
    return "PATH=/run/failing:$PATH\n"


def fails_and_leaves_no_trace(server: Server, needle: str, *words: str) -> str:
    """What is said when a call fails, after which everything is as it was."""
    before = server.look()
    failed = server.set_up(*words, before=failing(server, needle))
    assert failed.status == 1, failed.text
    assert "no space left on device" in failed.stderr
    assert "the machine is as it was before" in failed.stderr
    assert "could not be undone" not in failed.stderr
    assert server.look() == before
    return failed.stderr


def test_a_failure_at_the_end_puts_everything_back(server: Server) -> None:
    said = fails_and_leaves_no_trace(server, "systemctl try-restart nix-daemon")
    assert "this step failed: nix-daemon.service" in said


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("needle", "step"),
    [
        ("useradd", f"the account {ACCOUNT}"),
        ("usermod -aG nix-users", f"the groups of {ACCOUNT}"),
        (f"mkdir {HOME}/.ssh", f"the folders of {ACCOUNT}"),
        (f"chown {ACCOUNT}:", f"the folders of {ACCOUNT}"),
        (f"{HOME}/.ssh/authorized_keys", f"the key of {ACCOUNT}"),
        ("nix-remote-dispatcher", "/usr/local/bin/nix-remote-dispatcher"),
        ("/etc/nix/nix-remote.conf", "/etc/nix/nix-remote.conf"),
        ("/etc/nix/nix.conf", "/etc/nix/nix.conf"),
        ("mkdir /etc/exports.d", "/etc/exports.d/nix-remote.exports"),
        ("/etc/nfs.conf.d/nix-remote.conf", "/etc/nfs.conf.d/nix-remote.conf"),
        ("nix-remote-collect.service.nix-remote", "nix-remote-collect.service"),
        ("systemctl -q enable nix-remote-collect", "enabling nix-remote-collect.timer"),
        ("systemctl daemon-reload", "nix-remote-collect.timer"),
        ("systemctl start nix-remote-collect", "starting nix-remote-collect.timer"),
        (
            "systemctl restart nfs-server",
            "restarting the NFS server, which exports nothing yet",
        ),
    ],
)
def test_a_failure_anywhere_puts_everything_back(server: Server, needle: str, step: str) -> None:
    assert f"this step failed: {step}" in fails_and_leaves_no_trace(server, needle)


@pytest.fixture
def misfits(server: Server) -> Iterator[None]:
    """Accounts and files that are there already and that the script must not touch."""
    server.machine.sh(
        "useradd --create-home --shell /bin/bash person; echo person:secret | chpasswd;"
        "mkdir -p /var/lib/other/data; mv /etc/nix/nix.conf /etc/nix/kept;"
        "touch /nix/store/generated; ln -s /nix/store/generated /etc/nix/nix.conf"
    )
    yield
    server.machine.sh(
        "userdel --remove person 2>/dev/null; rm -r /var/lib/other;"
        "rm /nix/store/generated /etc/nix/nix.conf; mv /etc/nix/kept /etc/nix/nix.conf"
    )


@pytest.mark.usefixtures("misfits")
def test_what_does_not_fit_is_refused_before_anything_is_changed(server: Server) -> None:
    before = server.look()
    person = server.set_up("--account", "person")
    other = server.set_up("--account", "other")
    assert server.look() == before
    assert (person.status, other.status) == (1, 1)
    assert "person with the home folder /home/person, not /var/lib/person" in person.stderr
    assert "login shell /bin/bash, not /bin/sh" in person.stderr
    assert "person has a password" in person.stderr
    assert "/var/lib/other is there already, and something else uses it" in other.stderr
    for refused in (person, other):
        assert "/etc/nix/nix.conf is a link to /nix/store/generated" in refused.stderr
        assert "fix: " in refused.stderr
        assert refused.stderr.endswith("nothing was changed\n")


def test_afterwards_the_account_copies_and_the_store_is_exported(server: Server) -> None:
    done = server.set_up().check()
    assert "CVE-2026-" in done.stderr
    path = server.new_path("first")
    server.copy(path).check()
    machine = server.machine
    assert machine.run(["nix-store", "--check-validity", path]).status == 0
    assert path in machine.sh("nix-store --gc --print-roots")
    assert machine.read("/etc/nix/nix.conf").splitlines() == [
        "sandbox = true",
        f"allowed-users = root admin {ACCOUNT} # by hand",
        "trusted-users = root admin",
        "!include nix-remote.conf",
    ]
    assert f"nix-users:x:{machine.sh('getent group nix-users | cut -d: -f3').strip()}" in (
        machine.sh("getent group nix-users")
    )
    assert "/nix/store" in machine.sh("exportfs")
    assert machine.read("/proc/fs/nfsd/threads").strip() == "32"


def test_the_timer_runs_what_it_starts(server: Server) -> None:
    machine = server.machine
    machine.sh("systemctl start nix-remote-collect.service", timeout=120)
    assert machine.run(["systemctl", "is-active", "nix-remote-collect.timer"]).status == 0
    assert "nix-remote-collect.timer" in machine.sh("systemctl list-timers")


def test_run_again_it_changes_nothing_and_restarts_nothing(server: Server) -> None:
    before, running = server.look(), server.running()
    again = server.set_up().check()
    assert "nothing was changed" in again.stderr
    assert "changed:" not in again.stderr
    assert server.look() == before
    assert server.running() == running


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("needle", "step"),
    [
        ("rpc.nfsd 24", "the threads of the NFS server"),
        ("exportfs -ra", "exporting the store"),
    ],
)
def test_a_failure_puts_the_running_nfs_server_back(server: Server, needle: str, step: str) -> None:
    words = ("--threads", "24", "--executors", "10.78.0.0/24")
    running = server.running()
    said = fails_and_leaves_no_trace(server, needle, *words)
    assert f"this step failed: {step}" in said
    assert server.running() == running


@pytest.mark.thorough
def test_another_key_is_added_on_a_line_of_its_own(server: Server) -> None:
    machine, authorized = server.machine, f"{HOME}/.ssh/authorized_keys"
    first = machine.read(authorized)
    machine.write(authorized, f"# by hand\r\n{first.strip()}")
    server.lab.workstation.sh("rm -f /root/k2*; ssh-keygen -q -t ed25519 -N '' -f /root/k2")
    running = server.running()
    server.set_up("--public-key", "/root/k2.pub", "--threads", "24").check()
    lines = machine.read(authorized).splitlines()
    assert lines[:2] == ["# by hand", first.strip()]
    assert len(lines) == 3
    assert server.lab.workstation.read("/root/k2.pub").split()[1] in lines[2]
    assert machine.read("/proc/fs/nfsd/threads").strip() == "24"
    # The NFS server has other threads now, and executors have not waited for it.
    assert server.running() == running
    server.copy(server.new_path("second")).check()
