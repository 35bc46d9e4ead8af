"""Everything that can go wrong and that a user must see: what, why, and the fix.

    NixRemoteError
      UsageError           2   NoHost · InvalidHostAlias · InvalidSetting ·
                               SigningKeyUnusable · NothingToSelectBy · SetupInputUnusable ·
                               OutputBaseNotFound · GrpcMissing
      AgentError          19   AgentNotStarted
      SshConfigError      10   SshConfigUnreadable · SshConfigUnsupported
      LocalStoreError     11   NotAStorePath · PathNotValid · LocalStoreUnavailable ·
                               PathContentMissing · PathContentChanged
      ConnectionFailed    12   OpenSshMissing · HostNotFound · ConnectionRefused ·
                               ConnectionTimedOut · ConnectionBroken · TransferStalled ·
                               ProxyFailed · ServerBusy
      HostKeyError        13   HostKeyUnknown · HostKeyChanged · HostKeyRevoked ·
                               HostKeyUnacceptable
      AuthenticationError 14   LoginRefused · AgentUnreachable
      ServerError         15   NixNotFound · UnexpectedOutput · ServerTooOld ·
                               ServerEndedSession · ProtocolViolation
      TrustError          16   SignatureRequired
      TransferError       17   PathRefused · ServerDiskFull · ServerQuotaExceeded ·
                               ServerStoreReadOnly · ContentDiffers
      PromiseError        18   ClosureNotKept · CollectorNotAwaited · RootRefused ·
                               RootsUnreadable · ContentsUnreadable
      RemoteExecutionError 20  ExecutionServiceUnreachable · ExecutionRefused ·
                               ActionNotTaken · ActionNotFinished
      Interrupted        130

Every leaf has a stable code (for scripts and for searching), an exit status
shared by its family, and a fix. Exceptions of other libraries never reach a
user: they are turned into one of these where they arise.

Belongs here: texts and their classification. No input or output.
"""

from __future__ import annotations

import shlex
from typing import ClassVar, Final, Optional

from nix_remote.protocol.worker_log import plain_text

CRASHED: Final = 70
"""Exit status of a defect in nix_remote itself; everything else is below."""


_LONGEST: Final = 4000


def _harmless(text: str) -> str:
    """A text that can be shown: nothing that a terminal obeys, and not without end."""
    text = plain_text(text)
    return text if len(text) <= _LONGEST else text[:_LONGEST] + " […]"


class NixRemoteError(Exception):
    """What happened, why, and what the user can do about it."""

    code: ClassVar[str]
    exit_status: ClassVar[int]

    def __init__(self, what: str, *, why: str = "", fix: str) -> None:
        # Parts may come from a server, and servers can be hostile.
        self.what, self.why, self.fix = map(_harmless, (what, why, fix))
        super().__init__(self.what)

    def render(self) -> str:
        """The text for people: several lines, no line break at the end."""
        lines = [f"error[{self.code}]: {self.what}"]
        for label, text in (("why", self.why), ("fix", self.fix)):
            if text:
                lines.append(f"  {label}: " + text.replace("\n", "\n       "))
        return "\n".join(lines)


# Usage


class UsageError(NixRemoteError):
    """The command line or the environment asks for something impossible."""

    exit_status = 2


class NoHost(UsageError):
    code = "no-host"

    def __init__(self) -> None:
        super().__init__(
            "no Nix server is named",
            fix="set BAZEL_NIX_REMOTE to a Host entry of your SSH config, or give --host",
        )


class InvalidHostAlias(UsageError):
    code = "invalid-host-alias"

    def __init__(self, alias: str) -> None:
        super().__init__(
            f"{alias!r} cannot be the name of a Nix server",
            why="a name is made of letters, digits and . _ - + % : @, and a dash never comes first",
            fix="set BAZEL_NIX_REMOTE to the name of one Host entry of your SSH config",
        )


class InvalidSetting(UsageError):
    code = "invalid-setting"

    def __init__(self, name: str, value: str, expected: str) -> None:
        super().__init__(f"{name}={value!r} makes no sense", fix=f"{name} takes {expected}")


class SigningKeyUnusable(UsageError):
    code = "signing-key-unusable"

    def __init__(self, path: str, why: str) -> None:
        super().__init__(
            f"no path can be signed with {path}",
            why=why,
            fix="give the secret key file, the first of those that this makes:\n"
            "nix-store --generate-binary-cache-key NAME-1 secret public",
        )


class NothingToSelectBy(UsageError):
    code = "nothing-to-select-by"

    def __init__(self) -> None:
        super().__init__(
            "it is not said which roots are to be removed",
            fix="give --older-than AGE or --workspace NAME, or both; for all that are not in use:\n"
            "--older-than 0s",
        )


class SetupInputUnusable(UsageError):
    code = "setup-input-unusable"

    def __init__(self, what: str, expected: str) -> None:
        super().__init__(f"{what} cannot be used for a set-up", fix=f"{what} takes {expected}")


class OutputBaseNotFound(UsageError):
    code = "output-base-not-found"

    def __init__(self, looked_for: str) -> None:
        super().__init__(
            "it is not known where Bazel keeps the workspace's repositories",
            why=f"{looked_for} is no output base, or no workspace that was built here",
            fix='say it: nix-remote ensure --output-base "$(bazel info output_base)"',
        )


class GrpcMissing(UsageError):
    code = "grpc-missing"

    def __init__(self, python: str) -> None:
        super().__init__(
            "talking to a Remote Execution service needs the Python package grpcio",
            fix=f"{python} -m pip install grpcio",
        )


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


# The local store


class LocalStoreError(NixRemoteError):
    """A path cannot be read from the store on this machine."""

    exit_status = 11


class NotAStorePath(LocalStoreError):
    code = "not-a-store-path"

    def __init__(self, text: str) -> None:
        super().__init__(
            f"{text!r} is not in the Nix store",
            why="only paths below /nix/store can be copied",
            fix="give a store path, a path below one, or a link to one (such as ./result)",
        )


class PathNotValid(LocalStoreError):
    code = "path-not-valid"

    def __init__(self, path: str) -> None:
        super().__init__(
            f"{path} is not valid in the store of this machine",
            why="it was never realised here, or it has been garbage-collected",
            fix=f"realise it: nix-store --realise {path}\n"
            "(in Bazel: bazel fetch --force, so that rules_nixpkgs builds it again)",
        )


class LocalStoreUnavailable(LocalStoreError):
    code = "local-store-unavailable"

    def __init__(self, why: str) -> None:
        super().__init__(
            "the Nix store of this machine cannot be queried",
            why=why,
            fix="check that `nix-store --query --requisites PATH` works for your user",
        )


class PathContentMissing(LocalStoreError):
    code = "path-content-missing"

    def __init__(self, path: str, why: str) -> None:
        super().__init__(
            f"the content of {path} cannot be read on this machine",
            why=why,
            fix=f"repair it: nix-store --repair-path {path}",
        )


class PathContentChanged(LocalStoreError):
    code = "path-content-changed"

    def __init__(self, path: str, why: str) -> None:
        super().__init__(
            f"{path} has changed on this machine since it was registered",
            why=why,
            fix=f"see the difference: nix-store --verify-path {path}\n"
            f"repair it: nix-store --repair-path {path}",
        )


# Connecting


class ConnectionFailed(NixRemoteError):
    """There is no connection to the Nix server, or it broke."""

    exit_status = 12


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

    def __init__(self, alias: str, user: str, tried: str, locked: str) -> None:
        super().__init__(
            f"{alias} does not let {user} in",
            why=f"tried {tried}",
            fix=f"check that this works without a question: ssh -o BatchMode=yes {alias} true\n"
            f"keys with a passphrase must be in an agent: {f'ssh-add {locked}'.strip()}",
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


# Nix on the server


class ServerError(NixRemoteError):
    """Logged in, but the server does not do what a Nix server does."""

    exit_status = 15


class NixNotFound(ServerError):
    code = "nix-not-found"

    def __init__(self, alias: str, tried: str, said: str) -> None:
        super().__init__(
            f"there is no Nix on {alias}, or not where a login without a terminal finds it",
            why=f"tried {tried}" + (f"; it said: {said}" if said else ""),
            fix=f"check: ssh {alias} nix-daemon --version\n"
            "(Nix must be on the PATH that sshd gives, or in one of the usual places)",
        )


class UnexpectedOutput(ServerError):
    code = "unexpected-output"

    def __init__(self, alias: str, printed: str) -> None:
        super().__init__(
            f"{alias} printed something instead of speaking the Nix protocol",
            why=f"it began with: {printed}",
            fix=f"this must print nothing at all: ssh {alias} true\n"
            "(look at .bashrc and the like on the server, or at a login shell of nologin)",
        )


class ServerTooOld(ServerError):
    code = "server-too-old"

    def __init__(self, alias: str, version: str, needed: str) -> None:
        super().__init__(
            f"the Nix of {alias} is too old ({version})", fix=f"install {needed} or later there"
        )


class ServerEndedSession(ServerError):
    code = "server-ended-session"

    def __init__(self, alias: str, doing: str, said: str) -> None:
        super().__init__(
            f"Nix on {alias} ended the session while {doing}",
            why=f"it said: {said}" if said else "it did not say why",
            fix=f"its daemon's log may say more: ssh {alias} journalctl --unit nix-daemon -n 20\n"
            "then run this again: paths that arrived whole are kept",
        )
        self.said = said


class ProtocolViolation(ServerError):
    code = "protocol-violation"

    def __init__(self, alias: str, why: str) -> None:
        super().__init__(
            f"{alias} sent something that is not in the Nix protocol",
            why=why,
            fix="run it again; if it happens again, please report it with the output of -v",
        )


# Trust


class TrustError(NixRemoteError):
    """The server's Nix does not accept what we may send."""

    exit_status = 16


class SignatureRequired(TrustError):
    code = "signature-required"

    def __init__(self, alias: str, user: str, path: str, signers: Optional[str], more: int) -> None:
        others = f", and neither have {more} more" if more else ""
        super().__init__(
            f"Nix on {alias} takes paths that no key it trusts has signed only from users it"
            f" trusts; {user} is not one",
            why=f"{path} is signed by {signers}, whom it does not trust"
            if signers
            else f"{path} has no signature{others}",
            fix="one of these; the first gives the account the least power over the server:\n"
            "1. sign what is sent with a key that the server trusts: --sign-key FILE\n"
            "   (or NIX_REMOTE_SIGN_KEY_FILE)\n"
            "2. let the server trust a new key: nix-store --generate-binary-cache-key"
            " NAME-1 secret public\n"
            "   and on the server, in nix.conf: extra-trusted-public-keys = NAME-1:… (what"
            " public says)\n"
            "3. let the server trust the account with everything, as root: on the server,\n"
            f"   in nix.conf: extra-trusted-users = {user}\n"
            "nix.conf is read when the server's Nix daemon is restarted",
        )


# Transferring


class TransferError(NixRemoteError):
    """The server took the connection, but not the content."""

    exit_status = 17


class PathRefused(TransferError):
    code = "path-refused"

    def __init__(self, alias: str, path: str, said: str) -> None:
        super().__init__(
            f"{alias} did not accept {path}",
            why=f"it said: {said}",
            fix="repair what it complains about, then run this again: what arrived is kept",
        )


class ServerDiskFull(TransferError):
    code = "server-disk-full"

    def __init__(self, alias: str, said: str) -> None:
        super().__init__(
            f"the disk of {alias} is full",
            why=f"it said: {said}",
            fix=f"make room there: ssh {alias} 'df -h /nix; nix-store --gc'\n"
            "then run this again: paths that arrived whole are kept",
        )


class ServerQuotaExceeded(TransferError):
    code = "server-quota-exceeded"

    def __init__(self, alias: str, said: str) -> None:
        super().__init__(
            f"a disk quota on {alias} is used up",
            why=f"it said: {said}",
            fix=f"raise the quota there, or make room: ssh {alias} nix-store --gc\n"
            "then run this again: paths that arrived whole are kept",
        )


class ServerStoreReadOnly(TransferError):
    code = "server-store-read-only"

    def __init__(self, alias: str, said: str) -> None:
        super().__init__(
            f"the Nix store of {alias} cannot be written",
            why=f"it said: {said}",
            fix=f"check its file system and its database: ssh {alias} "
            "'mount | grep /nix; ls -l /nix/var/nix/db'",
        )


class ContentDiffers(TransferError):
    code = "content-differs"

    def __init__(self, alias: str, path: str, more: int) -> None:
        others = f", and so is that of {more} more" if more else ""
        super().__init__(
            f"the content of {path} on {alias} is another than here{others}",
            why="it was built in both places, and the build is not reproducible",
            fix="replace the one by the other. On the server, once nothing uses it:\n"
            f"nix-store --delete {path}; then run this again\n"
            f"or here: nix-store --delete {path}; then copy it from there",
        )


# The promise


class PromiseError(NixRemoteError):
    """Everything was sent, but the server cannot be said to keep it."""

    exit_status = 18


class ClosureNotKept(PromiseError):
    code = "closure-not-kept"

    def __init__(self, alias: str, missing: int, example: str, rounds: int) -> None:
        super().__init__(
            f"{missing} paths are not valid on {alias} although they were sent, such as {example}",
            why=f"something deletes them: it happened {rounds} times in a row",
            fix=f"let the garbage collection on {alias} finish, then run this again",
        )


class CollectorNotAwaited(PromiseError):
    code = "collector-not-awaited"

    def __init__(self, alias: str, command: str, said: str) -> None:
        super().__init__(
            f"a garbage collection on {alias} that runs now could take what was sent",
            why=f"to wait for it, this has to run there, and did not: {command}\nit said: {said}",
            fix="let the account run that command, or log in to one that may run "
            "nix-daemon --stdio (Nix 2.20 or newer)",
        )


class RootRefused(PromiseError):
    code = "root-refused"

    def __init__(self, alias: str, location: str, said: str) -> None:
        super().__init__(
            f"no durable garbage-collector root could be made on {alias}",
            why=f"{location}: {said}",
            fix="make that folder writable for the account, or give the account a home folder;\n"
            "with Nix before 2.20, let it run nix-store as well",
        )


class RootsUnreadable(PromiseError):
    code = "roots-unreadable"

    def __init__(self, alias: str, said: str) -> None:
        super().__init__(
            f"the durable roots on {alias} cannot be listed or removed",
            why=f"it said: {said}" if said else "the account may not run the commands for it",
            fix=f"log in with an account that has a shell: ssh {alias} date",
        )


class ContentsUnreadable(PromiseError):
    code = "contents-unreadable"

    def __init__(self, alias: str, said: str) -> None:
        super().__init__(
            f"the content of paths on {alias} cannot be looked at",
            why=f"it said: {said}" if said else "the account may not run nix-store --verify-path",
            fix=f"let the account run that command, or log in to one that may: ssh {alias}"
            " nix-store --version",
        )


# The agent


class AgentError(NixRemoteError):
    """The agent cannot be had. Copies do without it."""

    exit_status = 19


class AgentNotStarted(AgentError):
    code = "agent-not-started"

    def __init__(self, why: str) -> None:
        super().__init__(
            "there is no agent that could be used",
            why=why,
            fix="see what it says: nix-remote agent run\n"
            "copies work without one: each invocation does its work alone, or with the others",
        )


# Remote execution


class RemoteExecutionError(NixRemoteError):
    """The Remote Execution service does not run our action."""

    exit_status = 20


class ExecutionServiceUnreachable(RemoteExecutionError):
    code = "execution-service-unreachable"

    def __init__(self, url: str, why: str) -> None:
        super().__init__(
            f"{url} cannot be reached",
            why=why,
            fix="give what --remote_executor of Bazel has; grpcs:// if the service speaks TLS,\n"
            "with --tls-certificate FILE if an authority of your own certifies it",
        )


class ExecutionRefused(RemoteExecutionError):
    code = "execution-refused"

    def __init__(self, url: str, why: str) -> None:
        super().__init__(
            f"{url} does not run our action",
            why=why,
            fix="give what Bazel's options have: --remote-instance-name, --remote-header,\n"
            "and what executors have: --exec-property",
        )


class ActionNotTaken(RemoteExecutionError):
    code = "action-not-taken"

    def __init__(self, url: str, properties: str, seconds: float) -> None:
        super().__init__(
            f"no executor of {url} has taken our action within {seconds:g} s",
            why=f"it waits for one that has {properties}"
            if properties
            else "all are busy, or none takes actions without properties",
            fix="give what workers have, as remote_default_exec_properties of Bazel does:\n"
            "--exec-property NAME=VALUE; if all are busy: --remote-timeout SECONDS",
        )


class ActionNotFinished(RemoteExecutionError):
    code = "action-not-finished"

    def __init__(self, url: str, seconds: float) -> None:
        super().__init__(
            f"an executor of {url} has not finished our action within {seconds:g} s",
            why="it only looks at files: the NFS server does not answer, or is slow",
            fix="on the executor: nix-remote doctor --on-executor; more time: --remote-timeout"
            " SECONDS",
        )


# Ending early


class Interrupted(NixRemoteError):
    code = "interrupted"
    exit_status = 130

    def __init__(self) -> None:
        super().__init__(
            "interrupted",
            fix="run it again: paths that arrived whole are not sent a second time",
        )
