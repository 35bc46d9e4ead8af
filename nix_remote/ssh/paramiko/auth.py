"""Logging in with keys: from the agent, from files, with certificates. Never by asking."""

from __future__ import annotations

import copy
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Iterator, Optional, Sequence

import paramiko

from nix_remote.errors import (
    AgentUnreachable,
    AuthenticationError,
    ConnectionBroken,
    LoginRefused,
)
from nix_remote.ssh.config.host_config import HostConfig
from nix_remote.ssh.keys import algorithms, key_files
from nix_remote.ssh.keys.algorithms import CERTIFICATE
from nix_remote.ssh.keys.certificates import BadCertificate, plain_key
from nix_remote.ssh.keys.key_files import UnusableKey
from nix_remote.ssh.keys.known_hosts import fingerprint, kind_of
from nix_remote.ssh.keys.ssh_agent import Agent, AgentKey, AgentUnavailable
from nix_remote.ssh.paramiko.handshake import Connection, reason
from nix_remote.ssh.paramiko.unsupported import Unsupported

# How paramiko says that the stream has ended: while it waited for an answer, and before it asked.
_END_OF_STREAM: Final = ("saw EOF", "No existing session")
_HUNG_UP: Final = "the server hung up: too many keys, or the account is locked"


def authenticate(connection: Connection, config: HostConfig) -> None:
    """Logs in with the first key that the server takes, or without one if it asks for none.

    Raises `AuthenticationError` if the server refuses every key that there is, and
    `Shortfall` if something else stood in the way of one.
    """
    keys = _Keys(config)
    try:
        if not _try_all(connection, config, keys) and not _without_key(connection, config):
            refusal = _refusal(config, keys)
            if keys.beyond_paramiko:
                raise Unsupported("; ".join(keys.beyond_paramiko), refusal)
            raise refusal
    finally:
        keys.close()


def _try_all(connection: Connection, config: HostConfig, keys: _Keys) -> bool:
    """Whether a key has let us in."""
    for name, key in keys.in_order():
        try:
            still_needed = connection.auth_publickey(config.user, key)
        except paramiko.BadAuthenticationType as error:
            keys.tried.append(f"{name} (the server wants {', '.join(error.allowed_types)})")
            break
        except Exception as error:  # whatever the library's thread has met
            if isinstance(error, paramiko.AuthenticationException) and connection.is_active():
                keys.tried.append(f"{name} ({reason(error)})")  # the server's own word
                continue
            if connection.said_goodbye():
                # It counts every key; `ssh` asks about one before it signs.
                keys.cannot(f"{name} ({_HUNG_UP})")
                break
            lost = any(sign in str(error) for sign in _END_OF_STREAM)
            if lost or isinstance(error, (OSError, EOFError)):
                broken = ConnectionBroken(config.alias, "logging in", reason(error))
                raise Unsupported(f"paramiko cannot log in: {broken.why}", broken) from None
            keys.cannot(f"{name} ({reason(error)})")
            if not connection.is_active():
                break
            continue
        if not still_needed:
            return True
        wanted = ", ".join(still_needed)
        keys.tried.append(f"{name} (accepted, but the server wants {wanted} as well)")
    return False


def _without_key(connection: Connection, config: HostConfig) -> bool:
    """Whether the server lets us in as we are, as `ssh` asks it first of all."""
    try:
        return connection.is_active() and not connection.auth_none(config.user)
    except Exception:  # it does not, or is gone
        return False


def _refusal(config: HostConfig, keys: _Keys) -> AuthenticationError:
    tried = "; ".join(keys.tried) or "nothing: there is no key"
    if keys.agent_problem:
        agent = f"{config.agent_named_by} names {config.agent_socket}"
        return AgentUnreachable(config.alias, config.user, agent, keys.agent_problem, tried)
    to_unlock = " ".join(map(str, keys.locked))
    return LoginRefused(config.alias, config.user, tried, to_unlock, config.agent_not_set)


@dataclass
class _Keys:
    """What there is to log in with."""

    config: HostConfig
    tried: list[str] = field(default_factory=list)
    """What did not help, with the reason, in words."""
    locked: list[Path] = field(default_factory=list)
    """Files that need a passphrase."""
    agent_problem: str = ""
    beyond_paramiko: list[str] = field(default_factory=list)
    """Why `ssh` may get further, in words."""
    _agent: Optional[Agent] = None

    def __post_init__(self) -> None:
        if self.config.tries_kerberos:
            self.beyond_paramiko.append("no key let us in, and GSSAPIAuthentication is on")
        for name in algorithms.unavailable_user_keys(self.config.algorithms):
            self.beyond_paramiko.append(f"needed for PubkeyAcceptedAlgorithms {name}")

    def cannot(self, note: str) -> None:
        """Notes a key that did not help, where the reason need not be the server's."""
        self.tried.append(note)
        self.beyond_paramiko.append(f"paramiko cannot use {note}")

    def close(self) -> None:
        if self._agent is not None:
            self._agent.close()

    def in_order(self) -> Iterator[tuple[str, paramiko.PKey]]:
        """Keys with their names, in OpenSSH's order; loaded no sooner than they are needed.

        Certificates, the agent's keys that the config names, its other keys, files.
        """
        files = self.config.identity_files
        public = {path: key_files.public_key(path) for path in files}
        held = [key for key in self._agent_keys() if self._is_allowed(key.kind, key.comment)]
        yield from self._certified(files, public, held)
        named = set(public.values())
        yield from ((_agents_name(key), key) for key in held if key.blob in named)
        if not self.config.identities_only:
            yield from ((_agents_name(key), key) for key in held if key.blob not in named)
        in_agent = {key.blob for key in held}
        for path in files:
            blob = public[path]
            if not path.exists():
                continue
            if blob in in_agent or (blob and not self._is_allowed(kind_of(blob), str(path))):
                continue
            key = self._load(path)
            if key is not None and (blob or self._is_allowed(key.get_name(), str(path))):
                yield str(path), key

    def _agent_keys(self) -> Sequence[AgentKey]:
        if self.config.agent_socket is None:
            return ()
        try:
            self._agent = Agent(self.config.agent_socket, self.config.connect_timeout)
            return self._agent.keys()
        except AgentUnavailable as error:
            self.agent_problem = str(error)
            return ()

    def _certified(
        self,
        files: Sequence[Path],
        public: dict[Path, Optional[bytes]],
        held: Sequence[AgentKey],
    ) -> Iterator[tuple[str, paramiko.PKey]]:
        """Keys with certificates from files."""
        beside = [Path(f"{path}-cert.pub") for path in self.config.identity_files]
        for path in self.config.certificate_files or beside:
            blob = key_files.certificate(path)
            if blob is None or not self._is_allowed(kind_of(blob), str(path)):
                continue
            try:
                key = plain_key(blob)
            except BadCertificate as error:
                self.cannot(f"{path} ({error})")
                continue
            for agents in held:
                if agents.blob == key:
                    yield f"{path} with the agent's key", agents.certified(blob)
                    return
            for file in files:
                if public[file] == key and file.exists():
                    loaded = self._load(file)
                    if loaded is not None:
                        yield str(path), _certified(loaded, blob)
                    break

    def _load(self, path: Path) -> Optional[paramiko.PKey]:
        try:
            return key_files.private_key(path)
        except UnusableKey as error:
            note = f"{path} ({error})"
            if note not in self.tried:
                if error.beyond_paramiko:
                    self.cannot(note)
                else:
                    self.tried.append(note)
            if error.locked and path not in self.locked:
                self.locked.append(path)
            return None

    def _is_allowed(self, kind: str, name: str) -> bool:
        """Whether `PubkeyAcceptedAlgorithms` and paramiko have a use for such keys."""
        suffix = CERTIFICATE if kind.endswith(CERTIFICATE) else ""
        plain = kind.removesuffix(CERTIFICATE)
        usable = algorithms.user_keys(self.config.algorithms)
        ways = ("rsa-sha2-512", "rsa-sha2-256") if plain == "ssh-rsa" else (plain,)
        if any(f"{way}{suffix}" in usable for way in ways):
            return True
        if algorithms.is_known_key(plain):
            self.tried.append(f"{name} (not used: PubkeyAcceptedAlgorithms forbids it)")
        else:
            what = "a FIDO key" if kind.startswith("sk-") else f"a key of the kind {plain}"
            self.cannot(f"{name} (not used: {what}, for which --transport openssh is needed)")
        return False


def _agents_name(key: AgentKey) -> str:
    return f"{fingerprint(key.blob)} {key.comment} from the agent"


def _certified(key: paramiko.PKey, certificate: bytes) -> paramiko.PKey:
    with_certificate = copy.copy(key)
    with_certificate.public_blob = paramiko.pkey.PublicBlob(kind_of(certificate), certificate)
    return with_certificate
