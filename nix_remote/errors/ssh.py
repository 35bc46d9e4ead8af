"""Errors of the SSH config, the connection, the server's host key and the login."""

from __future__ import annotations

import shlex
from typing import Final, Optional

from nix_remote.errors.base import NixRemoteError

# SSH configuration


class SshConfigError(NixRemoteError):
    """The user's SSH configuration is unreadable or unsupported."""

    exit_status = 10


class SshConfigUnreadable(SshConfigError):
    code = "ssh-config-unreadable"

    def __init__(self, path: str, why: str) -> None:
        super().__init__(
            f"the SSH configuration {path} cannot be read",
            why=why,
            fix=f"repair {path}; `ssh -G HOST` shows how OpenSSH reads it",
        )


class SshConfigUnsupported(SshConfigError):
    code = "ssh-config-unsupported"

    def __init__(self, alias: str, reasons: str) -> None:
        super().__init__(
            f"the SSH configuration of {alias} needs the ssh program",
            why=reasons,
            fix="connect with the ssh program: --transport openssh (or auto)\n"
            "or add a Host entry for the Nix server without these options",
        )


# Connecting


class ConnectionFailed(NixRemoteError):
    """The connection to the Nix server cannot be made, or it broke."""

    exit_status = 12
    fix_in_bazel = "to build without the server until then: --repo_env=BAZEL_NIX_REMOTE="


class OpenSshMissing(ConnectionFailed):
    code = "openssh-missing"

    def __init__(self, alias: str, reasons: str, why: str) -> None:
        needed = f", which the SSH configuration of {alias} needs ({reasons})" if reasons else ""
        super().__init__(
            f"cannot start the ssh program{needed}",
            why=why,
            fix="install an OpenSSH client, or connect without it: --transport paramiko",
        )


class HostNotFound(ConnectionFailed):
    code = "host-not-found"

    def __init__(self, alias: str, hostname: str, entry_found_in: Optional[str]) -> None:
        if entry_found_in is None:
            why = f"your SSH config has no Host entry for {alias}, and the name does not resolve"
            fix = f"add an entry to ~/.ssh/config:\n{_HOST_ENTRY.format(alias=alias)}"
        else:
            why = f"its HostName in {entry_found_in}, {hostname}, does not resolve"
            fix = f"correct HostName in {entry_found_in}, or your DNS: getent hosts {hostname}"
        super().__init__(f"Nix server not found: {alias}", why=why, fix=fix)


_HOST_ENTRY: Final = "Host {alias}\n    HostName nix.example.org\n    User me"


class ConnectionRefused(ConnectionFailed):
    code = "connection-refused"

    def __init__(self, alias: str, address: str, why: str) -> None:
        super().__init__(
            f"{alias} ({address}) refuses SSH connections",
            why=why,
            fix=f"check HostName and Port of {alias}, and that sshd runs on it: ssh -v {alias}",
        )


class HostUnreachable(ConnectionFailed):
    code = "host-unreachable"

    def __init__(self, alias: str, address: str, why: str) -> None:
        super().__init__(
            f"{alias} ({address}) is unreachable",
            why=why,
            fix="check the network of this machine, its VPN and its routes, and HostName of"
            f" {alias}:\nssh -v {alias}",
        )


class ConnectionTimedOut(ConnectionFailed):
    code = "connection-timed-out"

    def __init__(self, alias: str, address: str, waiting_for: str, seconds: float) -> None:
        super().__init__(
            f"{alias} ({address}) does not answer",
            why=f"waited {seconds:g} s for {waiting_for}",
            fix=f"check that you can reach it: ssh -v {alias}\n"
            f"a slow link: raise ConnectTimeout in the Host entry of {alias}",
        )


class ConnectionBroken(ConnectionFailed):
    code = "connection-broken"

    def __init__(self, alias: str, doing: str, why: str) -> None:
        super().__init__(
            f"the connection to {alias} broke while {doing}",
            why=why,
            fix="run it again: paths that arrived completely are not sent again",
        )


class NegotiationFailed(ConnectionFailed):
    code = "negotiation-failed"

    def __init__(self, alias: str, address: str, why: str) -> None:
        super().__init__(
            f"cannot negotiate an SSH connection with {alias} ({address})",
            why=why,
            fix=f"check HostName and Port of {alias}, and what both sides offer: ssh -v {alias}\n"
            "if that connects: --transport openssh (auto does so if the ssh program is installed)",
        )


class TransferStalled(ConnectionFailed):
    code = "transfer-stalled"

    def __init__(self, alias: str, waiting_for: str, seconds: float) -> None:
        super().__init__(
            f"no data was exchanged with {alias} for {seconds:g} s",
            why=f"waiting for {waiting_for}",
            fix=f"check the server: another copy may hold the path, a garbage collection may be\n"
            f"running, or its disk may be stuck: ssh {alias} 'pgrep -a nix'\n"
            "a longer bound: NIX_REMOTE_STALL_TIMEOUT=SECONDS",
        )


class ProxyFailed(ConnectionFailed):
    code = "proxy-failed"

    def __init__(self, alias: str, command: str, said: str) -> None:
        super().__init__(
            f"the ProxyCommand of {alias} failed",
            why=f"{command}: {said}",
            fix=f"check that this works without a question: ssh -o BatchMode=yes {alias} true",
        )


class ServerBusy(ConnectionFailed):
    code = "server-busy"

    def __init__(self, alias: str, address: str, attempts: int, seconds: float) -> None:
        super().__init__(
            f"{alias} ({address}) closes connections before its SSH greeting",
            why=f"tried {attempts} times in {seconds:.0f} s; sshd does so when too many clients\n"
            "are logging in, and to addresses that it blocks",
            fix="try again later; on the server, raise MaxStartups in sshd_config, and check that\n"
            "neither PerSourcePenalties nor /etc/hosts.deny blocks this machine",
        )


# The server's host key


class HostKeyError(NixRemoteError):
    """The server's host key cannot be verified."""

    exit_status = 13


class HostKeyUnknown(HostKeyError):
    code = "host-key-unknown"

    def __init__(self, alias: str, name: str, key: str, files: str) -> None:
        super().__init__(
            f"the host key of {alias} is not known",
            why=f"the server presents {key}; no entry for {name} in {files}",
            fix=f"connect once and compare the fingerprint with the server's: ssh {alias} true\n"
            "(on the server: ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub)",
        )


class HostKeyChanged(HostKeyError):
    code = "host-key-changed"

    def __init__(
        self, alias: str, name: str, key: str, expected: str, file: str, line: int
    ) -> None:
        super().__init__(
            f"the host key of {alias} has changed: do not trust this connection",
            why=f"the server presents {key}; {file}:{line} has {expected} for {name}",
            fix="another machine may be intercepting it. Only if you know that the key was\n"
            f"replaced: ssh-keygen -f {shlex.quote(file)} -R {shlex.quote(name)}; ssh {alias} true",
        )


class HostKeyRevoked(HostKeyError):
    code = "host-key-revoked"

    def __init__(self, alias: str, key: str, place: str) -> None:
        super().__init__(
            f"the host key of {alias} is revoked: do not trust this connection",
            why=f"the server presents {key}; {place} marks it or its authority as revoked",
            fix="give the server a new host key; or, if the line is a mistake, remove it",
        )


class HostKeyUnacceptable(HostKeyError):
    code = "host-key-unacceptable"

    def __init__(self, alias: str, why: str) -> None:
        super().__init__(
            f"the host key of {alias} is not acceptable",
            why=why,
            fix=f"renew the server's host key or its certificate; see: ssh -v {alias} true",
        )


# Logging in


class AuthenticationError(NixRemoteError):
    """The server refuses the login."""

    exit_status = 14


class LoginRefused(AuthenticationError):
    code = "login-refused"

    def __init__(
        self, alias: str, user: str, tried: str, locked: str, not_set: Optional[str]
    ) -> None:
        """`not_set` is the variable that names an SSH agent's socket, if it is not set."""
        super().__init__(
            f"{alias} refuses the login as {user}",
            why=f"tried {tried}",
            fix=f"check that this works without a question: ssh -o BatchMode=yes {alias} true\n"
            f"keys with a passphrase must be in the SSH agent: {f'ssh-add {locked}'.strip()}",
        )
        if not_set is not None:
            self.fix_in_bazel = (
                f"{not_set} is not set here, so no SSH agent was used; if the key is in one, add to"
                f"\na bazelrc: common --repo_env={not_set}"
            )


class AgentUnreachable(AuthenticationError):
    code = "agent-unreachable"

    def __init__(self, alias: str, user: str, agent: str, why: str, tried: str) -> None:
        super().__init__(
            f"{alias} refuses the login as {user}, and the SSH agent is unreachable",
            why=f"{agent}; {why}\ntried {tried}",
            fix="run it again in a shell where ssh-add -l lists your keys; Bazel's server keeps\n"
            "the environment that it was started in, so first: bazel shutdown",
        )
