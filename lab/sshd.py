"""Real SSH servers on hosts, their accounts, and clients that may log in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Iterable, Mapping

from lab.host import Host, wait_until

PORT = 2222
"""Not 22, so that `[host]:port` entries of known_hosts are what every test uses."""

_KEY = "/root/.ssh/id_ed25519"


@dataclass(frozen=True)
class SshServer:
    """An SSH server of a host; several may run on different ports."""

    host: Host
    port: int = PORT

    @property
    def _service(self) -> str:
        return f"sshd-{self.port}"

    @property
    def host_key(self) -> str:
        """The public host key: type and base64."""
        return " ".join(self.host.read("/etc/ssh/lab_host_key.pub").split()[:2])

    def start(self, options: str = "") -> None:
        """Creates a missing host key, starts sshd, waits until it accepts connections.

        `options` come first in its configuration, so they have precedence.
        """
        key = "/etc/ssh/lab_host_key"
        self.host.sh(f"[ -e {key} ] || ssh-keygen -q -t ed25519 -N '' -f {key}")
        config = f"/etc/ssh/lab_{self._service}_config"
        self.host.write(
            config,
            f"{options}\n"
            f"Port {self.port}\n"
            "HostKey /etc/ssh/lab_host_key\n"
            "PermitRootLogin prohibit-password\n"
            "PasswordAuthentication no\n"
            "KbdInteractiveAuthentication no\n"
            "LogLevel VERBOSE\n"
            "PrintMotd no\n",
        )
        self.host.sh("mkdir -p /run/sshd")
        self.host.start_service(self._service, ["/usr/sbin/sshd", "-D", "-e", "-f", config])
        probe = (
            f"exec 3<>/dev/tcp/127.0.0.1/{self.port}; read -r -t 5 line <&3; [[ $line == SSH-* ]]"
        )
        wait_until(
            lambda: self.host.run(["bash", "-c", probe]).status == 0, f"sshd of {self.host.name}"
        )

    def stop(self) -> None:
        """Ends the listener; open sessions continue."""
        self.host.stop_service(self._service)

    def logins(self) -> int:
        """How many logins the server has accepted so far."""
        return self.host.log(self._service).count("Accepted publickey")


def add_account(server: Host, name: str, *, shell: str = "/bin/bash") -> None:
    """Makes an ordinary account with a home folder, unless there is one of that name."""
    # The password "*" matches nothing; without it, sshd considers the account locked.
    make = f"useradd --create-home --user-group --password '*' --shell {shell} {name}"
    server.sh(f"getent passwd {name} >/dev/null || {make}")


def authorize(server: Host, account: str, public_key: str, *, options: str = "") -> None:
    """Authorizes a further key for an account. `options` precede the key."""
    home = server.sh(f"getent passwd {account} | cut -d: -f6").strip()
    line = f"{options} {public_key}".strip()
    _add_line(server, f"{home}/.ssh/authorized_keys", line)
    server.sh(f"chmod 700 {home}/.ssh; chown -R {account}: {home}/.ssh")


def public_key(client: Host) -> str:
    """The client's own public key; the pair is made on first use."""
    client.sh(
        f"mkdir -p -m 700 /root/.ssh; [ -e {_KEY} ] || ssh-keygen -q -t ed25519 -N '' -f {_KEY}"
    )
    return client.read(f"{_KEY}.pub").strip()


def new_key(client: Host, *, passphrase: str = "") -> str:
    """Creates a key pair that no server knows, in a new folder; returns the private key's file.

    The public key's file has the same name and `.pub`.
    """
    file = client.sh("mktemp -d").strip() + "/id_ed25519"
    client.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", passphrase, "-f", file]).check()
    return file


def introduce(client: Host, server: SshServer, accounts: Mapping[str, str]) -> None:
    """Adds a server to the client's SSH config and known hosts: one entry per alias -> account.

    Replaces entries of the same names and keeps others.
    """
    config = "/root/.ssh/config"
    blocks = _read_if_there(client, config).split("\n\n")
    kept = [block.strip("\n") for block in blocks if not _is_entry_of(block, accounts)]
    entries = [
        f"Host {alias}\n"
        f"    HostName {server.host.address}\n"
        f"    Port {server.port}\n"
        f"    User {account}\n"
        f"    IdentityFile {_KEY}"
        for alias, account in accounts.items()
    ]
    text = "\n\n".join([block for block in kept if block] + entries) + "\n"
    client.write(config, text, mode="600")
    address = server.host.address
    name = address if server.port == 22 else f"[{address}]:{server.port}"
    _add_line(client, "/root/.ssh/known_hosts", f"{name} {server.host_key}")


def _is_entry_of(block: str, aliases: Iterable[str]) -> bool:
    return block.split("\n", 1)[0] in {f"Host {alias}" for alias in aliases}


def _read_if_there(host: Host, path: str) -> str:
    return host.sh(f"if [ -e {path} ]; then cat {path}; fi")


def _add_line(host: Host, path: str, line: str) -> None:
    lines = _read_if_there(host, path).splitlines()
    if line not in lines:
        host.write(path, "\n".join([*lines, line]) + "\n", mode="600")
