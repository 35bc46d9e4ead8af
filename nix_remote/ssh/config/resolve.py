"""Resolves a host name to a `HostConfig`, as `ssh -G` does.

docs/ssh.md lists the supported directives and the deliberate differences from OpenSSH. What
paramiko does not support is listed in `HostConfig.needs_openssh`; the paramiko transport
refuses such a configuration.
"""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, Iterable, Mapping, Optional

from nix_remote.errors import SshConfigUnreadable
from nix_remote.ssh.config import files as config_files
from nix_remote.ssh.config import openssh_only
from nix_remote.ssh.config.canonicalize import canonical_name
from nix_remote.ssh.config.host_config import HostConfig, HostKeyPolicy
from nix_remote.ssh.config.lookup import Lookup
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
"""Seconds, where the config has no ConnectTimeout."""

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


def this_user(environment: Mapping[str, str]) -> LocalUser:
    """The user that runs this process. Raises `SshConfigUnreadable` for an unknown user ID."""
    try:
        return local_user(os.getuid(), environment)
    except ValueError as error:
        raise SshConfigUnreadable("of this user", str(error)) from None


def resolve(alias: str, config: Optional[Path], local: LocalUser) -> HostConfig:
    """The configuration of `alias`, which may be `user@alias`.

    With `config`, reads that file alone, as `ssh -F` does. A name without an entry is a host
    name. Raises `SshConfigError`.
    """
    user, _, name = alias.rpartition("@")
    return _Resolver(config, local).resolve(Destination(name, user or None), alias)


def for_this_user(alias: str, config: Optional[Path], environment: Mapping[str, str]) -> HostConfig:
    """`resolve` for the user that runs this process. Raises `SshConfigError`."""
    return resolve(alias, config, this_user(environment))


def look_up(
    to: Destination, config: Optional[Path], local: LocalUser, via: tuple[Destination, ...] = ()
) -> Lookup:
    """The values that the files set for a host, without defaults. Raises `SshConfigUnreadable`.

    User and port of `to`, and the jump hosts in `via`, override the files.
    """
    found = Lookup(to.host, local)
    if to.user is not None:
        found.values["user"] = to.user
    if to.port is not None:
        found.values["port"] = to.port
    if via:
        found.values.update(proxyjump=via, proxycommand="none")
    config_files.read(found, config)
    proxied = found.proxy_command is not None or bool(found.values.get("proxyjump"))
    found.values["hostname"] = canonical_name(found.host(final=False), found, proxied=proxied)
    if found.wants_final_pass or found.values.get("canonicalizehostname", "no") != "no":
        config_files.read(found, config, final=True)
    return found


@dataclass(frozen=True)
class _Resolver:
    """Resolves a host and its jump hosts by the same files."""

    config: Optional[Path]
    local: LocalUser

    def resolve(
        self, to: Destination, alias: str, via: tuple[Destination, ...] = (), hops: int = 0
    ) -> HostConfig:
        try:
            found = look_up(to, self.config, self.local, via)
            return _host_config(alias, to, found, self._jump(found, hops))
        except ValueError as error:
            where = str(self.config) if self.config is not None else "of this user"
            raise SshConfigUnreadable(where, f"{alias}: {error}") from None

    def _jump(self, found: Lookup, hops: int) -> Optional[HostConfig]:
        chain = found.values.get("proxyjump")
        if not isinstance(chain, tuple) or not chain:
            return None
        if hops == _MAX_HOPS:
            raise ValueError("ProxyJump forms a loop")
        hop, before = chain[-1], chain[:-1]
        assert isinstance(hop, Destination)
        return self.resolve(
            hop,
            hop.host,
            before,  # type: ignore[arg-type]  # of a ProxyJump
            hops + 1,
        )


@dataclass(frozen=True)
class _Expansion:
    """Expands the paths in a host's configuration."""

    local: LocalUser
    tokens: Mapping[str, str]

    def path(self, text: str) -> Path:
        return Path(expanded(tilde_expanded(text, self.local), self.tokens, self.local.environment))

    def paths(self, texts: Iterable[str]) -> tuple[Path, ...]:
        return tuple(self.path(text) for text in texts)


def _host_config(
    alias: str, to: Destination, found: Lookup, jump: Optional[HostConfig]
) -> HostConfig:
    user = _user(to, found)
    host_key_alias = (found.text("hostkeyalias") or "").lower() or None
    expansion = _expansion(found, user, host_key_alias)
    agent_socket, agent_named_by = _agent(found, expansion)
    command = found.proxy_command
    control_path = found.text("controlpath")
    config = HostConfig(
        alias=alias,
        hostname=found.host(final=True),
        port=found.number("port", 22),
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
        proxy_command=expanded(command, expansion.tokens) if command is not None else None,
        shell=found.local.shell,
        control_path=expansion.path(control_path) if control_path is not None else None,
        identity_files=_identity_files(found, expansion),
        certificate_files=expansion.paths(found.several.get("certificatefile", ())),
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
        user_known_hosts_files=expansion.paths(_user_known_hosts(found)),
        global_known_hosts_files=_global_known_hosts(found),
        algorithms=_algorithms(found),
        environment=found.local.environment,
    )
    return replace(config, needs_openssh=_needs_openssh(found, config))


def _needs_openssh(found: Lookup, config: HostConfig) -> tuple[str, ...]:
    own = openssh_only.reasons(found, config.algorithms, config.identity_files, config.control_path)
    if config.jump is None:
        return own
    return own + tuple(f"{each}, of {config.jump.alias}" for each in config.jump.needs_openssh)


def _user(to: Destination, found: Lookup) -> str:
    user = found.text("user") or found.local.name
    if to.user is not None:
        return user
    # %r and %C depend on the user.
    tokens = {key: value for key, value in found.tokens(final=True).items() if key not in "rC"}
    return expanded(user, tokens, found.local.environment)


def _expansion(found: Lookup, user: str, host_key_alias: Optional[str]) -> _Expansion:
    tokens = connection_tokens(
        found.local,
        host=found.host(final=True),
        original=found.name,
        port=found.number("port", 22),
        user=user,
        jump_host=found.tokens(final=True)["j"],
        key_alias=host_key_alias or found.name,
    )
    return _Expansion(found.local, tokens)


def _identity_files(found: Lookup, expansion: _Expansion) -> tuple[Path, ...]:
    names = found.several.get("identityfile", _DEFAULT_IDENTITIES)
    return expansion.paths(name for name in names if name.lower() != "none")


def _user_known_hosts(found: Lookup) -> tuple[str, ...]:
    names = found.words("userknownhostsfile")
    return _USER_KNOWN_HOSTS if names is None else names


def _global_known_hosts(found: Lookup) -> tuple[Path, ...]:
    names = found.words("globalknownhostsfile")
    # OpenSSH expands nothing in these.
    return tuple(Path(name) for name in (_SYSTEM_KNOWN_HOSTS if names is None else names))


def _algorithms(found: Lookup) -> Algorithms:
    return Algorithms(
        ciphers=found.text("ciphers"),
        key_exchanges=found.text("kexalgorithms"),
        macs=found.text("macs"),
        host_keys=found.text("hostkeyalgorithms"),
        user_keys=found.text("pubkeyacceptedalgorithms"),
        certificate_authorities=found.text("casignaturealgorithms"),
    )


def _agent(found: Lookup, expansion: _Expansion) -> tuple[Optional[Path], str]:
    """The SSH agent's socket, and the variable or directive that names it."""
    named = found.text("identityagent") or "SSH_AUTH_SOCK"
    if named.lower() == "none":
        return None, "IdentityAgent"
    variable = "SSH_AUTH_SOCK" if named == "SSH_AUTH_SOCK" else ""
    if named.startswith("$") and not named.startswith("${"):
        variable = named[1:]
    if variable:
        socket_name = found.local.environment.get(variable)
        return (Path(socket_name) if socket_name else None), variable
    return expansion.path(named), "IdentityAgent"
