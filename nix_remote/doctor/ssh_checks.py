"""Checks of the SSH connection: config, identity files, SSH agent, host key, login."""

from __future__ import annotations

import shlex
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Optional

from nix_remote.doctor.finding import Finding, from_error, ok, warning
from nix_remote.errors import (
    AuthenticationError,
    ConnectionFailed,
    HostKeyError,
    NixRemoteError,
)
from nix_remote.ssh.config.host_config import HostConfig
from nix_remote.ssh.keys import key_files, ssh_agent
from nix_remote.ssh.keys.ssh_agent import AgentUnavailable

LAYER: Final = "ssh"

# In the order in which a login reaches them: a failure at one means that the earlier ones passed.
_STAGES: Final[tuple[tuple[str, type[NixRemoteError], str], ...]] = (
    ("connection", ConnectionFailed, "{0.hostname} answers on port {0.port}"),
    ("host key", HostKeyError, "known_hosts has it"),
    ("login", AuthenticationError, "as {0.user}, without a question"),
)


@dataclass(frozen=True)
class KeyFile:
    """The state of an identity file."""

    path: Path
    mode: Optional[int]
    """The permission bits; None if the file does not exist."""
    lacks_private_key: bool = False
    """Whether it is a public key whose private key is not in the SSH agent."""


def config(host: HostConfig) -> Finding:
    """How the SSH config resolves the host."""
    where = f"by {host.entry_found_in}" if host.entry_found_in else "without an entry"
    return ok(LAYER, "config", f"{host.alias} is {host.user}@{host.address}, {where}")


def keys(host: HostConfig) -> list[Finding]:
    """Checks the identity files on this machine."""
    public = [path for path in host.identity_files if key_files.is_public(path)]
    held = _held_by_agent(host) if public else frozenset()
    return judge_keys(
        [_key_file(path, public=path in public, held=held) for path in host.identity_files]
    )


def _held_by_agent(host: HostConfig) -> frozenset[bytes]:
    """The public keys in the SSH agent; none if it is unavailable."""
    if host.agent_socket is None:
        return frozenset()
    try:
        return ssh_agent.probe(host.agent_socket)
    except AgentUnavailable:
        return frozenset()


def _key_file(path: Path, *, public: bool, held: frozenset[bytes]) -> KeyFile:
    try:
        mode = stat.S_IMODE(path.stat().st_mode)
    except OSError:
        return KeyFile(path, None)
    if not public:
        return KeyFile(path, mode)
    # A public key need not be protected from other users.
    return KeyFile(path, mode & 0o700, key_files.public_key(path) not in held)


def judge_keys(files: list[KeyFile]) -> list[Finding]:
    """The findings for identity files. OpenSSH's default files need not exist."""
    found = []
    for file in files:
        if file.mode is None:
            if not file.path.name.startswith("id_"):
                fix = f"create it: nix-remote setup ssh ALIAS --identity {file.path} --create-key"
                found.append(warning(LAYER, "key", f"{file.path} does not exist", fix))
        elif file.lacks_private_key:
            fix = f"name the file of the private key in IdentityFile, or: ssh-add {_private(file)}"
            text = f"{file.path} is a public key whose private key is not in the SSH agent"
            found.append(warning(LAYER, "key", text, fix))
        elif file.mode & 0o077:
            text = f"other users can read {file.path}: the ssh program refuses it"
            found.append(warning(LAYER, "key", text, f"chmod 600 {file.path}"))
    existing = [str(file.path) for file in files if file.mode is not None]
    text = ", ".join(existing) or "none on this machine; keys must be in an SSH agent"
    return found or [ok(LAYER, "key", text)]


def _private(file: KeyFile) -> str:
    """The usual file of the private key, quoted for a shell."""
    return shlex.quote(str(file.path).removesuffix(".pub"))


def agent(host: HostConfig) -> Finding:
    """Checks that the SSH agent responds, if the host has one."""
    if host.agent_socket is None:
        return ok(LAYER, "agent", "no SSH agent is used")
    try:
        ssh_agent.probe(host.agent_socket)
    except AgentUnavailable as error:
        fix = "in a shell where ssh-add -l works; for Bazel's server: bazel shutdown"
        return warning(LAYER, "agent", f"{host.agent_origin}: {error}", fix)
    return ok(LAYER, "agent", f"listens at {host.agent_socket}")


def stages(host: HostConfig, failure: Optional[NixRemoteError]) -> list[Finding]:
    """The stages of connecting that were reached; `failure` is the error that ended it, if any."""
    found: list[Finding] = []
    for subject, kind, passed in _STAGES:
        if failure is not None and isinstance(failure, kind):
            return [*found, from_error(LAYER, subject, failure)]
        found.append(ok(LAYER, subject, passed.format(host)))
    if failure is not None:
        found = [from_error(LAYER, "config", failure)]
    return found
