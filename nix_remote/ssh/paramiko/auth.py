"""Public key authentication: keys in the SSH agent and in files, with and without certificates.

No passphrase, password or PIN is ever asked for.
"""

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
from nix_remote.ssh.keys.certificates import BadCertificate, plain_key
from nix_remote.ssh.keys.key_files import UnusableKey
from nix_remote.ssh.keys.known_hosts import fingerprint, kind_of
from nix_remote.ssh.keys.ssh_agent import Agent, AgentKey, AgentUnavailable
from nix_remote.ssh.paramiko.handshake import Connection, reason
from nix_remote.ssh.paramiko.unsupported import Unsupported

# paramiko's messages for a connection that has ended: during a request, and before one.
_END_OF_STREAM: Final = ("saw EOF", "No existing session")
_DISCONNECTED: Final = "the server disconnected: too many keys, or the account is locked"


def authenticate(connection: Connection, config: HostConfig) -> None:
    """Logs in with the first key that the server accepts, or without a key if it needs none.

    Raises `AuthenticationError` if the server refuses every key, and `Unsupported` if `ssh` may
    be able to use a key that paramiko cannot.
    """
    keys = _Keys(config)
    try:
        if not _try_all(connection, config, keys) and not _without_key(connection, config):
            refusal = _refusal(config, keys)
            if keys.needs_openssh:
                raise Unsupported("; ".join(keys.needs_openssh), refusal)
            raise refusal
    finally:
        keys.close()


def _try_all(connection: Connection, config: HostConfig, keys: _Keys) -> bool:
    """Whether the server has accepted a key."""
    for name, key in keys.in_order():
        try:
            still_needed = connection.auth_publickey(config.user, key)
        except paramiko.BadAuthenticationType as error:
            keys.tried.append(f"{name} (the server accepts only {', '.join(error.allowed_types)})")
            break
        except Exception as error:  # any that paramiko's thread raised
            if isinstance(error, paramiko.AuthenticationException) and connection.is_active():
                keys.tried.append(f"{name} ({reason(error)})")  # the server refused it
                continue
            if connection.disconnect_message:
                # Each signature counts as an attempt; `ssh` asks before it signs.
                keys.add_unsupported(f"{name} ({_DISCONNECTED})")
                break
            ended = any(message in str(error) for message in _END_OF_STREAM)
            if ended or isinstance(error, (OSError, EOFError)):
                broken = ConnectionBroken(config.alias, "logging in", reason(error))
                raise Unsupported(f"paramiko cannot log in: {broken.why}", broken) from None
            keys.add_unsupported(f"{name} ({reason(error)})")
            if not connection.is_active():
                break
            continue
        if not still_needed:
            return True
        wanted = ", ".join(still_needed)
        keys.tried.append(f"{name} (accepted, but the server also requires {wanted})")
    return False


def _without_key(connection: Connection, config: HostConfig) -> bool:
    """Whether the server accepts a login without a key, which `ssh` tries first."""
    try:
        return connection.is_active() and not connection.auth_none(config.user)
    except Exception:  # a refusal, or the end of the connection
        return False


def _refusal(config: HostConfig, keys: _Keys) -> AuthenticationError:
    tried = "; ".join(keys.tried) or "nothing: no key was found"
    if keys.agent_problem:
        return AgentUnreachable(
            config.alias, config.user, config.agent_origin, keys.agent_problem, tried
        )
    to_unlock = " ".join(map(str, keys.locked))
    return LoginRefused(config.alias, config.user, tried, to_unlock, config.agent_not_set)


@dataclass
class _Keys:
    """The keys to log in with."""

    config: HostConfig
    tried: list[str] = field(default_factory=list)
    """Keys that were not accepted or not used, with the reasons."""
    locked: list[Path] = field(default_factory=list)
    """Files that need a passphrase."""
    agent_problem: str = ""
    needs_openssh: list[str] = field(default_factory=list)
    """Reasons why `ssh` may be able to log in."""
    _agent: Optional[Agent] = None
    """Kept open, to sign."""

    def __post_init__(self) -> None:
        if self.config.tries_kerberos:
            self.needs_openssh.append("no key was accepted, and GSSAPIAuthentication is on")
        for name in algorithms.unavailable_user_keys(self.config.algorithms):
            self.needs_openssh.append(f"needed for PubkeyAcceptedAlgorithms {name}")

    def add_unsupported(self, note: str) -> None:
        """Adds a key that failed, where the cause may be paramiko rather than the server."""
        self.tried.append(note)
        self.needs_openssh.append(f"paramiko cannot use {note}")

    def close(self) -> None:
        if self._agent is not None:
            self._agent.close()

    def in_order(self) -> Iterator[tuple[str, paramiko.PKey]]:
        """Keys with their names, in OpenSSH's order; each is loaded when it is needed.

        Certificates, keys in the SSH agent that the config names, its other keys, files.
        """
        files = self.config.identity_files
        public = {path: key_files.public_key(path) for path in files}
        held = [key for key in self._agent_keys() if self._is_allowed(key.kind, key.comment)]
        yield from self._certified(files, public, held)
        named = set(public.values())
        yield from ((_name_in_agent(key), key) for key in held if key.blob in named)
        if not self.config.identities_only:
            yield from ((_name_in_agent(key), key) for key in held if key.blob not in named)
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
            return self._agent.list_keys()
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
        default = [key_files.certificate_file(path) for path in files]
        for path in self.config.certificate_files or default:
            blob = key_files.certificate(path)
            if blob is None or not self._is_allowed(kind_of(blob), str(path)):
                continue
            try:
                key = plain_key(blob)
            except BadCertificate as error:
                self.add_unsupported(f"{path} ({error})")
                continue
            for in_agent in held:
                if in_agent.blob == key:
                    yield f"{path} with a key from the SSH agent", in_agent.certified(blob)
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
                if error.needs_openssh:
                    self.add_unsupported(note)
                else:
                    self.tried.append(note)
            if error.locked and path not in self.locked:
                self.locked.append(path)
            return None

    def _is_allowed(self, kind: str, name: str) -> bool:
        """Whether `PubkeyAcceptedAlgorithms` allows and paramiko supports such keys."""
        plain = algorithms.plain_kind(kind)
        usable = algorithms.user_keys(self.config.algorithms)
        signatures: tuple[str, ...]
        signatures = ("rsa-sha2-512", "rsa-sha2-256") if plain == "ssh-rsa" else (plain,)
        if algorithms.is_certificate(kind):
            signatures = tuple(map(algorithms.certified_kind, signatures))
        if not set(usable).isdisjoint(signatures):
            return True
        if algorithms.is_known_key(plain):
            self.tried.append(f"{name} (not used: PubkeyAcceptedAlgorithms forbids it)")
        else:
            what = "a FIDO key" if kind.startswith("sk-") else f"a key of type {plain}"
            self.add_unsupported(f"{name} (not used: {what} requires --transport openssh)")
        return False


def _name_in_agent(key: AgentKey) -> str:
    return f"{fingerprint(key.blob)} {key.comment} from the SSH agent"


def _certified(key: paramiko.PKey, certificate: bytes) -> paramiko.PKey:
    with_certificate = copy.copy(key)
    with_certificate.public_blob = paramiko.pkey.PublicBlob(kind_of(certificate), certificate)
    return with_certificate
