"""`HostConfig`: the resolved SSH configuration of one host.

`resolve.py` makes it from the config files; everything that connects takes it as it is.
"""

from __future__ import annotations

import socket
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Mapping, Optional

from nix_remote.ssh.keys.algorithms import Algorithms


class HostKeyPolicy(Enum):
    """`StrictHostKeyChecking`: what to do with an unknown host key."""

    YES = "yes"
    ASK = "ask"
    """Refuses as `yes` does: this program asks no questions."""
    ACCEPT_NEW = "accept-new"
    NO = "no"


@dataclass(frozen=True)
class HostConfig:
    """How to connect and log in to a host, and how to verify its host key."""

    alias: str
    hostname: str
    port: int
    user: str
    entry_found_in: Optional[str]
    """The config file with a block for the alias; None if no file has one."""

    address_family: socket.AddressFamily
    bind_address: Optional[str]
    connect_timeout: float
    """Seconds for each step of connecting."""
    connection_attempts: int
    server_alive_interval: int
    """Seconds without data after which the client sends a keepalive message; 0: never."""
    server_alive_count_max: int
    compression: bool
    jump: Optional[HostConfig]
    """The jump host (`ProxyJump`), which may have a jump host of its own."""
    proxy_command: Optional[str]
    """The shell command that connects to the host; its tokens are expanded."""
    shell: str
    """The user's shell, which runs that command."""
    control_path: Optional[Path]

    identity_files: tuple[Path, ...]
    certificate_files: tuple[Path, ...]
    tries_kerberos: bool
    """`GSSAPIAuthentication`, which some systems set for all users."""
    identities_only: bool
    agent_socket: Optional[Path]
    """The SSH agent's socket; None if there is no agent or the config disables it."""
    agent_named_by: str
    """The environment variable or directive that names that socket."""

    host_key_policy: HostKeyPolicy
    host_key_alias: Optional[str]
    check_host_ip: bool
    hash_known_hosts: bool
    trust_localhost: bool
    """`NoHostAuthenticationForLocalhost`."""
    required_rsa_size: int
    """Bits."""
    user_known_hosts_files: tuple[Path, ...]
    global_known_hosts_files: tuple[Path, ...]
    algorithms: Algorithms

    needs_openssh: tuple[str, ...] = ()
    """Reasons why only the `ssh` program supports this configuration; empty if paramiko does."""

    environment: Mapping[str, str] = field(default_factory=dict, compare=False, repr=False)
    """The environment of programs that are started for the connection."""

    @property
    def starts_programs(self) -> bool:
        """Whether connecting starts other programs, which may read any environment variable."""
        own = self.proxy_command is not None or bool(self.needs_openssh)
        return own or (self.jump is not None and self.jump.starts_programs)

    @property
    def address(self) -> str:
        """Host name and port, for messages."""
        return f"{self.hostname}:{self.port}"

    @property
    def agent_origin(self) -> str:
        """The SSH agent's socket and what names it, for messages."""
        return f"{self.agent_named_by} names {self.agent_socket}"

    @property
    def agent_not_set(self) -> Optional[str]:
        """The environment variable that names the SSH agent's socket, if it is not set."""
        named = self.agent_socket is None and self.agent_named_by != "IdentityAgent"
        return self.agent_named_by if named else None

    @property
    def known_hosts_name(self) -> str:
        """The server's name in known_hosts files."""
        if self.host_key_alias is not None:
            return self.host_key_alias
        return on_port(self.hostname.lower(), self.port)

    @property
    def known_hosts_files(self) -> tuple[Path, ...]:
        """The files to search for host keys, in this order."""
        return self.user_known_hosts_files + self.global_known_hosts_files


def on_port(host: str, port: int) -> str:
    """A host and its port in the notation of known_hosts files."""
    return host if port == 22 else f"[{host}]:{port}"
