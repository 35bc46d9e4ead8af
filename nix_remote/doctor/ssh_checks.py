"""From the host's name to a login: what is wrong with the SSH config, keys, agent, host key."""

from __future__ import annotations

import os
import shlex
import socket
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
from nix_remote.ssh.keys import key_files
from nix_remote.ssh.keys.ssh_agent import Agent, AgentUnavailable

LAYER: Final = "ssh"

# In the order in which they are passed: who fails at one has passed those before.
_GATES: Final[tuple[tuple[str, type[NixRemoteError], str], ...]] = (
    ("connection", ConnectionFailed, "{0.hostname} answers on port {0.port}"),
    ("host key", HostKeyError, "it is the key that known_hosts has"),
    ("login", AuthenticationError, "as {0.user}, without a question"),
)

_AGENT_SECONDS: Final = 2.0


@dataclass(frozen=True)
class KeyFile:
    """What there is of an identity file."""

    path: Path
    mode: Optional[int]
    """Its permission bits; None if there is no such file."""
    lacks_private_key: bool = False
    """Whether it is a public key whose private key no agent has."""


def config(host: HostConfig) -> Finding:
    """The SSH config was understood."""
    where = f"by {host.entry_found_in}" if host.entry_found_in else "without an entry"
    return ok(LAYER, "config", f"{host.alias} is {host.user}@{host.address}, {where}")


def keys(host: HostConfig) -> list[Finding]:
    """The identity files that are named, as they are on this machine."""
    public = [path for path in host.identity_files if key_files.is_public(path)]
    held = _held_by_agent(host) if public else frozenset()
    return judge_keys(
        [_key_file(path, public=path in public, held=held) for path in host.identity_files]
    )


def _held_by_agent(host: HostConfig) -> frozenset[bytes]:
    """The public keys of what the agent holds; none if it cannot be asked."""
    if host.agent_socket is None:
        return frozenset()
    try:
        asked = Agent(host.agent_socket, _AGENT_SECONDS)
        try:
            found = asked.keys()
            return frozenset(key.blob for key in found)
        finally:
            asked.close()
    except AgentUnavailable:
        return frozenset()


def _key_file(path: Path, *, public: bool, held: frozenset[bytes]) -> KeyFile:
    try:
        mode = stat.S_IMODE(path.stat().st_mode)
    except OSError:
        return KeyFile(path, None)
    if not public:
        return KeyFile(path, mode)
    # Anybody may read a public key.
    return KeyFile(path, mode & 0o700, key_files.public_key(path) not in held)


def judge_keys(files: list[KeyFile]) -> list[Finding]:
    """What is wrong with them. Those that ssh tries unasked need not exist."""
    found = []
    for file in files:
        if file.mode is None:
            if not file.path.name.startswith("id_"):
                fix = f"make it: nix-remote setup ssh ALIAS --identity {file.path} --create-key"
                found.append(warning(LAYER, "key", f"there is no {file.path}", fix))
        elif file.lacks_private_key:
            fix = f"name the file of the private key in IdentityFile, or: ssh-add {_private(file)}"
            text = f"{file.path} is a public key, and the agent has no private key for it"
            found.append(warning(LAYER, "key", text, fix))
        elif file.mode & 0o077:
            text = f"{file.path} can be read by others: the ssh program refuses it"
            found.append(warning(LAYER, "key", text, f"chmod 600 {file.path}"))
    there = [str(file.path) for file in files if file.mode is not None]
    return found or [ok(LAYER, "key", ", ".join(there) or "none on this machine: an agent's")]


def _private(file: KeyFile) -> str:
    """Where the private key is, most of the time."""
    return shlex.quote(str(file.path).removesuffix(".pub"))


def agent(host: HostConfig) -> Finding:
    """The agent, if one is named: whether somebody listens there."""
    if host.agent_socket is None:
        return ok(LAYER, "agent", "none is asked")
    return judge_agent(host, _connection_problem(host.agent_socket))


def _connection_problem(path: Path) -> str:
    with socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(_AGENT_SECONDS)
        try:
            probe.connect(os.fspath(path))
        except OSError as error:
            return error.strerror or str(error)
    return ""


def judge_agent(host: HostConfig, problem: str) -> Finding:
    """`problem`: why nobody could be reached at its socket; empty if somebody was."""
    if not problem:
        return ok(LAYER, "agent", f"listens at {host.agent_socket}")
    text = f"{host.agent_named_by} names {host.agent_socket}: {problem}"
    fix = "in a shell where ssh-add -l works; for Bazel's server: bazel shutdown"
    return warning(LAYER, "agent", text, fix)


def gates(host: HostConfig, failure: Optional[NixRemoteError]) -> list[Finding]:
    """What was passed on the way in. `failure` ended it; None if all was."""
    found: list[Finding] = []
    for subject, kind, passed in _GATES:
        if failure is not None and isinstance(failure, kind):
            return [*found, from_error(LAYER, subject, failure)]
        found.append(ok(LAYER, subject, passed.format(host)))
    if failure is not None:
        found = [from_error(LAYER, "config", failure)]
    return found
