"""The way to the server: SSH config, connection, the server's identity, login."""

from __future__ import annotations

import shlex
from typing import Final, Optional

from nix_remote.errors.base import NixRemoteError

# SSH configuration


class SshConfigError(NixRemoteError):
    """The user's SSH configuration cannot be followed."""

    exit_status = 10


class SshConfigUnreadable(SshConfigError):
    code = "ssh-config-unreadable"

    def __init__(self, path: str, why: str) -> None:
        super().__init__(
            f"the SSH configuration {path} cannot be read",
            why=why,
            fix=f"repair {path}; `ssh -G HOST` shows what OpenSSH makes of it",
        )


class SshConfigUnsupported(SshConfigError):
    code = "ssh-config-unsupported"

    def __init__(self, alias: str, reasons: str) -> None:
        super().__init__(
            f"the SSH configuration of {alias} asks for what only the ssh program can do",
            why=reasons,
            fix="let the ssh program connect: --transport openssh (or auto)\n"
            "or add a Host entry for the Nix server that does without it",
        )


# Connecting


class ConnectionFailed(NixRemoteError):
    """There is no connection to the Nix server, or it broke."""

    exit_status = 12
    fix_in_bazel = "to build without the server until then: --repo_env=BAZEL_NIX_REMOTE="


class OpenSshMissing(ConnectionFailed):
    code = "openssh-missing"

    def __init__(self, alias: str, reasons: str, why: str) -> None:
        needed = f", which the SSH configuration of {alias} needs ({reasons})" if reasons else ""
        super().__init__(
            f"the program ssh cannot be started{needed}",
            why=why,
            fix="install an OpenSSH client, or do without it: --transport paramiko",
        )


class HostNotFound(ConnectionFailed):
    code = "host-not-found"

    def __init__(self, alias: str, hostname: str, entry_found_in: Optional[str]) -> None:
        if entry_found_in is None:
            why = f"no Host entry of your SSH config names {alias}, and it is no host name either"
            fix = f"add an entry to ~/.ssh/config:\n{_HOST_ENTRY.format(alias=alias)}"
        else:
            why = f"{entry_found_in} gives it the HostName {hostname}, which does not resolve"
            fix = f"correct HostName in {entry_found_in}, or your DNS: getent hosts {hostname}"
        super().__init__(f"the Nix server {alias} cannot be found", why=why, fix=fix)


_HOST_ENTRY: Final = "Host {alias}\n    HostName nix.example.org\n    User me"


class ConnectionRefused(ConnectionFailed):
    code = "connection-refused"

    def __init__(self, alias: str, address: str, why: str) -> None:
        super().__init__(
            f"{alias} ({address}) does not accept SSH connections",
            why=why,
            fix=f"check HostName and Port of {alias}, and that sshd runs there: ssh -v {alias}",
        )


class HostUnreachable(ConnectionFailed):
    code = "host-unreachable"

    def __init__(self, alias: str, address: str, why: str) -> None:
        super().__init__(
            f"{alias} ({address}) cannot be reached from here",
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
            fix="run it again: paths that arrived whole are not sent a second time",
        )


class NegotiationFailed(ConnectionFailed):
    code = "negotiation-failed"

    def __init__(self, alias: str, address: str, why: str) -> None:
        super().__init__(
            f"no SSH connection to {alias} ({address}) could be negotiated",
            why=why,
            fix=f"check HostName and Port of {alias}, and what both sides offer: ssh -v {alias}\n"
            "if that connects: --transport openssh (auto does so where there is a program ssh)",
        )


class TransferStalled(ConnectionFailed):
    code = "transfer-stalled"

    def __init__(self, alias: str, waiting_for: str, seconds: float) -> None:
        super().__init__(
            f"nothing has moved between here and {alias} for {seconds:g} s",
            why=f"waiting for {waiting_for}",
            fix=f"look at the server: another copy may hold the path, a garbage collection may be\n"
            f"running, or its disk may be stuck: ssh {alias} 'pgrep -a nix'\n"
            "a longer bound: NIX_REMOTE_STALL_TIMEOUT=SECONDS",
        )


class ProxyFailed(ConnectionFailed):
    code = "proxy-failed"

    def __init__(self, alias: str, command: str, said: str) -> None:
        super().__init__(
            f"the ProxyCommand of {alias} made no connection",
            why=f"{command}: {said}",
            fix=f"check that this works without a question: ssh -o BatchMode=yes {alias} true",
        )


class ServerBusy(ConnectionFailed):
    code = "server-busy"

    def __init__(self, alias: str, address: str, attempts: int, seconds: float) -> None:
        super().__init__(
            f"{alias} ({address}) closes connections before its SSH greeting",
            why=f"tried {attempts} times in {seconds:g} s; sshd does so when too many are logging\n"
            "in at a time, and to addresses that it shuts out",
            fix="try again later; on the server, raise MaxStartups in sshd_config, and see what\n"
            "PerSourcePenalties and /etc/hosts.deny say about this machine",
        )


# The server's identity


class HostKeyError(NixRemoteError):
    """The server is not known to be the one that is meant."""

    exit_status = 13


class HostKeyUnknown(HostKeyError):
    code = "host-key-unknown"

    def __init__(self, alias: str, name: str, key: str, files: str) -> None:
        super().__init__(
            f"the host key of {alias} is not known",
            why=f"it shows {key}, and no line for {name} is in {files}",
            fix=f"connect once and compare the fingerprint with the server's: ssh {alias} true\n"
            "(on the server: ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub)",
        )


class HostKeyChanged(HostKeyError):
    code = "host-key-changed"

    def __init__(
        self, alias: str, name: str, key: str, expected: str, file: str, line: int
    ) -> None:
        super().__init__(
            f"the host key of {alias} is not the one that is known: do not trust this connection",
            why=f"it shows {key}; {file}:{line} has {expected} for {name}",
            fix="somebody may be between you and the server. Only if you know that its key was\n"
            f"replaced: ssh-keygen -f {shlex.quote(file)} -R {shlex.quote(name)}; ssh {alias} true",
        )


class HostKeyRevoked(HostKeyError):
    code = "host-key-revoked"

    def __init__(self, alias: str, key: str, place: str) -> None:
        super().__init__(
            f"the host key of {alias} is revoked: do not trust this connection",
            why=f"it shows {key}; {place} says that this key, or who certified it, is revoked",
            fix="give the server a new host key; or, if the line is a mistake, remove it",
        )


class HostKeyUnacceptable(HostKeyError):
    code = "host-key-unacceptable"

    def __init__(self, alias: str, why: str) -> None:
        super().__init__(
            f"the host key of {alias} does not prove that it is the server that is meant",
            why=why,
            fix=f"have the server's host key or its certificate renewed; see: ssh -v {alias} true",
        )


# Logging in


class AuthenticationError(NixRemoteError):
    """The server does not let us in."""

    exit_status = 14


class LoginRefused(AuthenticationError):
    code = "login-refused"

    def __init__(
        self, alias: str, user: str, tried: str, locked: str, not_set: Optional[str]
    ) -> None:
        """`not_set` is the variable that would name an agent, if there is none for it."""
        super().__init__(
            f"{alias} does not let {user} in",
            why=f"tried {tried}",
            fix=f"check that this works without a question: ssh -o BatchMode=yes {alias} true\n"
            f"keys with a passphrase must be in an agent: {f'ssh-add {locked}'.strip()}",
        )
        if not_set is not None:
            self.fix_in_bazel = (
                f"{not_set} is not set here, so no agent was asked; if the key is in one, put into"
                f"\na bazelrc: common --repo_env={not_set}"
            )


class AgentUnreachable(AuthenticationError):
    code = "agent-unreachable"

    def __init__(self, alias: str, user: str, agent: str, why: str, tried: str) -> None:
        super().__init__(
            f"{alias} does not let {user} in, and the SSH agent cannot be asked",
            why=f"{agent}; {why}\ntried {tried}",
            fix="in a shell where ssh-add -l lists your keys, run it again; Bazel's server keeps\n"
            "the environment that it was started in, so before that: bazel shutdown",
        )
