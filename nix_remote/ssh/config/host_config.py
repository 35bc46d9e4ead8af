"""From the name of a `Host` entry to everything that is needed to connect: `HostConfig`.

Equal to what `ssh -G` says; docs/ssh.md lists the directives, and where we
differ on purpose. What paramiko cannot follow is named in `needs_openssh`, and
whoever connects over paramiko refuses it.
"""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Callable, Final, Mapping, Optional

from nix_remote.errors import SshConfigUnreadable
from nix_remote.ssh.config import files as config_files
from nix_remote.ssh.config import openssh_only
from nix_remote.ssh.config.canonicalize import canonical_name
from nix_remote.ssh.config.files import Found
from nix_remote.ssh.config.syntax import Destination
from nix_remote.ssh.config.tokens import (
    LocalUser,
    connection_tokens,
    expanded,
    local_user,
    tilde_expanded,
)
from nix_remote.ssh.keys.algorithms import Algorithms

DEFAULT_CONNECT_TIMEOUT: Final = 15.0
"""Seconds; the entry's ConnectTimeout wins."""

_DEFAULT_IDENTITIES: Final = (
    *("~/.ssh/id_rsa", "~/.ssh/id_ecdsa", "~/.ssh/id_ecdsa_sk"),
    *("~/.ssh/id_ed25519", "~/.ssh/id_ed25519_sk"),
)
_SYSTEM_KNOWN_HOSTS: Final = ("/etc/ssh/ssh_known_hosts", "/etc/ssh/ssh_known_hosts2")
_USER_KNOWN_HOSTS: Final = ("~/.ssh/known_hosts", "~/.ssh/known_hosts2")
_ADDRESS_FAMILIES: Final = {
    "any": socket.AF_UNSPEC,
    "inet": socket.AF_INET,
    "inet6": socket.AF_INET6,
}
_MAX_HOPS: Final = 16


class HostKeyPolicy(Enum):
    """`StrictHostKeyChecking`: what becomes of a key that is not known."""

    YES = "yes"
    ASK = "ask"
    """Refused as with `yes`: there is nobody to ask."""
    ACCEPT_NEW = "accept-new"
    NO = "no"


@dataclass(frozen=True)
class HostConfig:
    """Where and as whom to connect, and how much to trust what is there."""

    alias: str
    hostname: str
    port: int
    user: str
    entry_found_in: Optional[str]
    """The config file with a block for the alias; None if there is no such block."""

    address_family: socket.AddressFamily
    bind_address: Optional[str]
    connect_timeout: float
    """Seconds for each step of connecting."""
    connection_attempts: int
    server_alive_interval: int
    """Seconds of silence after which the server is asked if it is there; 0: never."""
    server_alive_count_max: int
    compression: bool
    jump: Optional[HostConfig]
    """The host to go through (`ProxyJump`), which may have to go through another."""
    proxy_command: Optional[str]
    """A command for the shell that makes the connection; tokens are filled in."""
    shell: str
    """The user's shell, which runs such commands."""
    control_path: Optional[Path]

    identity_files: tuple[Path, ...]
    certificate_files: tuple[Path, ...]
    tries_kerberos: bool
    """`GSSAPIAuthentication`, which systems switch on for everybody."""
    identities_only: bool
    agent_socket: Optional[Path]
    """Where the agent listens; None: there is none, or it is switched off."""
    agent_named_by: str
    """What names that socket: an environment variable or a directive."""

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
    """Why only the `ssh` program can follow this configuration, in words; empty if paramiko can."""

    environment: Mapping[str, str] = field(default_factory=dict, compare=False, repr=False)
    """What the programs get that are started for the connection."""

    @property
    def starts_programs(self) -> bool:
        """Whether a connection needs other programs, which may read any variable."""
        own = self.proxy_command is not None or bool(self.needs_openssh)
        return own or (self.jump is not None and self.jump.starts_programs)

    @property
    def address(self) -> str:
        """Host name and port, for messages."""
        return f"{self.hostname}:{self.port}"

    @property
    def agent_not_set(self) -> Optional[str]:
        """The environment variable that would name an agent, if it is not set."""
        named = self.agent_socket is None and self.agent_named_by != "IdentityAgent"
        return self.agent_named_by if named else None

    @property
    def known_hosts_name(self) -> str:
        """How known_hosts files call this server."""
        if self.host_key_alias is not None:
            return self.host_key_alias
        return on_port(self.hostname.lower(), self.port)

    @property
    def known_hosts_files(self) -> tuple[Path, ...]:
        """Where host keys are looked for, in this order."""
        return self.user_known_hosts_files + self.global_known_hosts_files


def on_port(host: str, port: int) -> str:
    """How known_hosts files write a host with its port."""
    return host if port == 22 else f"[{host}]:{port}"


def this_user(environment: Mapping[str, str]) -> LocalUser:
    """Who runs this process. Raises `SshConfigUnreadable` if the password database has nobody."""
    try:
        return local_user(os.getuid(), environment)
    except ValueError as error:
        raise SshConfigUnreadable("of this user", str(error)) from None


def resolve(alias: str, config: Optional[Path], local: LocalUser) -> HostConfig:
    """What the SSH configuration says of `alias`, which may be `user@alias`.

    With `config`, that file alone is read, as `ssh -F` does. A name without an
    entry is taken as a host name, as `ssh` does. Raises `SshConfigError`.
    """
    user, _, name = alias.rpartition("@")
    return _resolve(Destination(name, user or None), alias, config, local, hops=0)


def look_up(
    to: Destination, config: Optional[Path], local: LocalUser, via: tuple[Destination, ...] = ()
) -> Found:
    """What the files say about a host, defaults not filled in. Raises `SshConfigUnreadable`.

    What `to` has besides the host's name, and the hops in `via`, win over the files.
    """
    found = Found(to.host, local)
    if to.user is not None:
        found.values["user"] = to.user
    if to.port is not None:
        found.values["port"] = to.port
    if via:
        found.values.update(proxyjump=via, proxycommand="none")
    config_files.read(found, config)
    proxied = _proxy_command(found) is not None or bool(found.values.get("proxyjump"))
    found.values["hostname"] = canonical_name(found.host(final=False), found, proxied=proxied)
    if found.wants_final_reading or found.values.get("canonicalizehostname", "no") != "no":
        config_files.read(found, config, final=True)
    return found


def _resolve(
    to: Destination,
    alias: str,
    config: Optional[Path],
    local: LocalUser,
    *,
    hops: int,
    via: tuple[Destination, ...] = (),
) -> HostConfig:
    try:
        found = look_up(to, config, local, via)
        jump = None
        chain = found.values.get("proxyjump")
        if isinstance(chain, tuple) and chain:
            if hops == _MAX_HOPS:
                raise ValueError("ProxyJump goes in a circle")
            hop, before = chain[-1], chain[:-1]
            assert isinstance(hop, Destination)
            jump = _resolve(
                hop,
                hop.host,
                config,
                local,
                hops=hops + 1,
                via=before,  # type: ignore[arg-type]  # of a ProxyJump
            )
        return _host_config(alias, to, found, jump)
    except ValueError as error:
        where = str(config) if config is not None else "of this user"
        raise SshConfigUnreadable(where, f"{alias}: {error}") from None


def _host_config(
    alias: str, to: Destination, found: Found, jump: Optional[HostConfig]
) -> HostConfig:
    hostname = found.host(final=True)
    port = found.number("port", 22)
    tokens = found.tokens(final=True)
    variables = found.local.environment
    host_key_alias = (found.text("hostkeyalias") or "").lower() or None
    user = found.text("user") or found.local.name
    if to.user is None:
        user = expanded(user, {key: tokens[key] for key in tokens if key not in "rC"}, variables)
    tokens = connection_tokens(
        found.local,
        host=hostname,
        original=found.name,
        port=port,
        user=user,
        jump_host=tokens["j"],
        key_alias=host_key_alias or found.name,
    )

    def path(text: str) -> Path:
        return Path(expanded(tilde_expanded(text, found.local), tokens, variables))

    agent_socket, agent_named_by = _agent(found, path)
    command = _proxy_command(found)
    control_path = _optional_path(found, "controlpath", path)
    files = found.several.get("identityfile", _DEFAULT_IDENTITIES)
    identity_files = tuple(path(name) for name in files if name.lower() != "none")
    user_files = found.words("userknownhostsfile")
    system_files = found.words("globalknownhostsfile")
    chosen = Algorithms(
        ciphers=found.text("ciphers"),
        key_exchanges=found.text("kexalgorithms"),
        macs=found.text("macs"),
        host_keys=found.text("hostkeyalgorithms"),
        user_keys=found.text("pubkeyacceptedalgorithms"),
        certificate_authorities=found.text("casignaturealgorithms"),
    )
    reasons = openssh_only.reasons(found, chosen, identity_files, control_path)
    if jump is not None:
        reasons += tuple(f"{reason}, of {jump.alias}" for reason in jump.needs_openssh)
    return HostConfig(
        alias=alias,
        hostname=hostname,
        port=port,
        user=user,
        entry_found_in=found.entry_found_in,
        address_family=_ADDRESS_FAMILIES[found.text("addressfamily") or "any"],
        bind_address=found.text("bindaddress"),
        connect_timeout=float(found.number("connecttimeout", 0)) or DEFAULT_CONNECT_TIMEOUT,
        connection_attempts=found.number("connectionattempts", 1),
        server_alive_interval=found.number("serveraliveinterval", 0),
        server_alive_count_max=found.number("serveralivecountmax", 3),
        compression=found.is_on("compression"),
        jump=jump,
        proxy_command=expanded(command, tokens) if command is not None else None,
        shell=variables.get("SHELL") or "/bin/sh",
        control_path=control_path,
        identity_files=identity_files,
        certificate_files=tuple(path(name) for name in found.several.get("certificatefile", ())),
        tries_kerberos=found.is_on("gssapiauthentication"),
        identities_only=found.is_on("identitiesonly"),
        agent_socket=agent_socket,
        agent_named_by=agent_named_by,
        host_key_policy=HostKeyPolicy(found.text("stricthostkeychecking") or "ask"),
        host_key_alias=host_key_alias,
        check_host_ip=found.is_on("checkhostip"),
        hash_known_hosts=found.is_on("hashknownhosts"),
        trust_localhost=found.is_on("nohostauthenticationforlocalhost"),
        required_rsa_size=found.number("requiredrsasize", 1024),
        user_known_hosts_files=tuple(
            path(name) for name in (_USER_KNOWN_HOSTS if user_files is None else user_files)
        ),
        # These are taken as they are written.
        global_known_hosts_files=tuple(
            Path(name) for name in (_SYSTEM_KNOWN_HOSTS if system_files is None else system_files)
        ),
        algorithms=chosen,
        needs_openssh=reasons,
        environment=variables,
    )


def _proxy_command(found: Found) -> Optional[str]:
    command = found.text("proxycommand")
    return None if command is None or command.lower() == "none" else command


def _optional_path(found: Found, directive: str, path: Callable[[str], Path]) -> Optional[Path]:
    text = found.text(directive)
    return path(text) if text is not None else None


def _agent(found: Found, path: Callable[[str], Path]) -> tuple[Optional[Path], str]:
    """Where the agent listens, and what says so."""
    named = found.text("identityagent") or "SSH_AUTH_SOCK"
    if named.lower() == "none":
        return None, "IdentityAgent"
    variable = "SSH_AUTH_SOCK" if named == "SSH_AUTH_SOCK" else ""
    if named.startswith("$") and not named.startswith("${"):
        variable = named[1:]
    if variable:
        socket_name = found.local.environment.get(variable)
        return (Path(socket_name) if socket_name else None), variable
    return path(named), "IdentityAgent"
