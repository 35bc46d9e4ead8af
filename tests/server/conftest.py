"""A whole system for all tests of this folder, and queries of its state."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from lab import nix, sshd
from lab.commands import Outcome
from lab.lab import Lab
from lab.system_host import SystemHost

ACCOUNT = "copies"
ALIAS = "whole-system"

# All that the script may change, as text: files with their rights and content, accounts, units,
# the NFS server. Logs, the store and its database are not of it.
_LOOK = r"""
seen() { find /etc /usr/local /var/lib/copies /nix/var/nix/gcroots /root \
    ! -path '/etc/*-' ! -name .pwd.lock "$@" 2>/dev/null || true; }
seen -printf '%p %m %u:%g %l\n' | sort
seen -type f -print0 | sort -z | xargs -0 sha256sum
getent passwd
getent group
systemctl show --property Id,UnitFileState,ActiveState \
    nfs-server.service nix-remote-collect.timer nix-daemon.service
cat /proc/fs/nfsd/threads
exportfs -v
"""

# What executors and builds wait for: it is another process, or another time, once it has restarted.
_RUNNING = """
systemctl show --property MainPID,ActiveEnterTimestampMonotonic \
    nfs-server.service nix-daemon.service nix-daemon.socket ssh.service nix-remote-collect.timer
"""


@dataclass(frozen=True)
class Server:
    """A machine to be set up, from the lab's workstation."""

    lab: Lab
    machine: SystemHost
    trusted_key: str
    signing_key: str

    def script(self, *words: str) -> str:
        """What `nix-remote setup server` prints."""
        command = [
            *("nix-remote", "setup", "server", "--public-key", "/root/.ssh/id_ed25519.pub"),
            *("--executors", "10.77.0.0/24", "--trusted-key", self.trusted_key),
            *("--room", "1M", "--account", ACCOUNT, *words),
        ]
        return self.lab.workstation.run(command).check().stdout

    def set_up(self, *words: str, before: str = "") -> Outcome:
        """Runs the script as root, as the docs say. `before` are shell commands before it."""
        script = before + self.script(*words)
        return self.machine.run(["sh"], stdin=script, timeout=300)

    def look(self) -> list[str]:
        """All that the script may change."""
        return self.machine.sh(_LOOK, timeout=120).splitlines()

    def running(self) -> str:
        """Which services run, since when."""
        return self.machine.sh(_RUNNING)

    def copy(self, path: str, *words: str) -> Outcome:
        """Copies a path to it, signed, as the account."""
        command = ["nix-remote", "copy", "--no-agent", "--host", ALIAS, "--sign-key"]
        run = self.lab.workstation.run
        return run([*command, self.signing_key, *words, path], timeout=120)

    def new_path(self, name: str) -> str:
        """A path that has been built on the workstation, and that no other store has."""
        expression = (
            f'derivation {{ name = "{name}"; system = "x86_64-linux"; builder = "/usr/bin/bash";'
            f' args = [ "-c" "echo {name} > $out" ]; }}'
        )
        command = ["nix-build", "--no-out-link", "-E", expression]
        return self.lab.workstation.run(command).check().stdout.strip()


@pytest.fixture(scope="session")
def server(lab: Lab) -> Server:
    """A machine with Debian's Nix and hand-written settings.

    Its `nix.conf` ends without the end of a line, has lines of Windows's, and names its users.
    """
    machine = lab.system_server()
    sshd.public_key(lab.workstation)
    keys = nix.new_signing_keys(lab.workstation, "me-1")
    machine.write(
        "/etc/nix/nix.conf",
        "sandbox = true\r\nallowed-users = root admin # by hand\ntrusted-users = root admin",
    )
    # A store, and a daemon that runs: it is not to be told apart from one that is in use.
    machine.sh("nix-store --init; systemctl start nix-daemon.service")
    sshd.introduce(lab.workstation, sshd.SshServer(machine, 22), {ALIAS: ACCOUNT})
    return Server(lab, machine, keys.public, keys.secret)
