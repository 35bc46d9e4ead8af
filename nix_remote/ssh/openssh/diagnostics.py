"""Makes an error of the log of an `ssh` that could not connect. Pure.

Parses the output of OpenSSH 9.2, 10.0 and 10.6 with `LogLevel DEBUG1`. Patterns match at the
beginning of a line only: until the server's host key is verified, `ssh` puts a prefix before
every line that the server sends.
"""

from __future__ import annotations

import re
from typing import Collection, Final, Optional

from nix_remote.errors import (
    AgentUnreachable,
    ConnectionBroken,
    ConnectionRefused,
    ConnectionTimedOut,
    HostKeyChanged,
    HostKeyRevoked,
    HostKeyUnacceptable,
    HostKeyUnknown,
    HostNotFound,
    HostUnreachable,
    LoginRefused,
    NegotiationFailed,
    NixRemoteError,
    ProxyFailed,
    SshConfigUnreadable,
)
from nix_remote.ssh.config.host_config import HostConfig
from nix_remote.ssh.greeting import is_of_busy_server, no_greeting
from nix_remote.ssh.keys.ssh_agent import NO_AGENT_LISTENS
from nix_remote.ssh.openssh import auth_log

_HOST_KEY_VERIFIED: Final = re.compile(r"^debug1: SSH2_MSG_NEWKEYS received", re.M)
_STEPS: Final = (
    (_HOST_KEY_VERIFIED, "the login"),
    (re.compile(r"^debug1: Remote protocol version", re.M), "the key exchange"),
    (re.compile(r"^debug1: (Connection established|Executing proxy)", re.M), "an SSH greeting"),
)

_NOT_RESOLVED: Final = re.compile(r"^ssh: Could not resolve hostname (\S*):", re.M)
_NOT_CONNECTED: Final = re.compile(r"^ssh: connect to host \S+ port \d+: (.*)$", re.M)
_NOT_BOUND: Final = re.compile(r"^bind (\S+): (.*)$", re.M)
_TIMED_OUT: Final = re.compile(
    r"^(Connection timed out|Connection to \S+ port \d+ timed out)", re.M
)
_BAD_CONFIG: Final = re.compile(
    r"^(?P<file>/\S+?)?:? ?(line \d+: .*|terminating, \d+ bad configuration options"
    r"|Bad owner or permissions on .*|Can't open user config file .*)$",
    re.M,
)
_GREETED: Final = re.compile(r"^debug1: Remote protocol version", re.M)
_NO_GREETING: Final = re.compile(
    r"^(kex_exchange_identification: (read: )?Connection (closed|reset)|banner exchange: |"
    r"Connection (closed|reset) by |debug1: kex_exchange_identification: write: )",
    re.M,
)
_BEFORE_GREETING: Final = re.compile(
    r"^debug1: kex_exchange_identification: banner line \d+: (.*)$", re.M
)
_NOT_NEGOTIATED: Final = (
    re.compile(r"^Unable to negotiate with \S+ port \d+: (.*)$", re.M),
    re.compile(r"^kex_exchange_identification: (banner line .*|No SSH version .*)$", re.M),
    re.compile(r"^(Protocol major versions differ: .*)$", re.M),
    re.compile(r"^(Bad remote protocol version identification: .*)$", re.M),
    re.compile(
        r"^ssh_dispatch_run_fatal: Connection to \S+ port \d+: "
        r"(?!Connection (?:reset|closed|timed out)|Broken pipe)(.*)$",
        re.M,
    ),
)
_CUT_OFF: Final = re.compile(r"^Connection closed by UNKNOWN port", re.M)
_JUMP_FAILED: Final = re.compile(r"^channel \d+: open failed: (?:connect failed: )?(.*)$", re.M)
_KEY_REFUSED: Final = re.compile(r"^Host key verification failed", re.M)
_KEY_CHANGED: Final = re.compile(r"^@ +WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED", re.M)
_KEY_REVOKED: Final = re.compile(r"^@ +WARNING: REVOKED HOST KEY DETECTED", re.M)
_OFFERED_HOST_KEY: Final = re.compile(r"^debug1: Server host key: (\S+ SHA256:\S+)", re.M)
_OFFENDING: Final = re.compile(r"^Offending (\S+) key in (.+):([0-9]{1,9})$", re.M)
_LOGIN_REFUSED: Final = re.compile(
    r"^((?P<user>[^@\s]*)@?\S*: Permission denied \((?P<wanted>.*)\)"
    r"|(?P<disconnected>Received disconnect .*Too many authentication failures"
    r"|Disconnected from .*Too many authentication failures))",
    re.M,
)
_KEYS_COLLECTED: Final = re.compile(
    r"^debug1: (Will attempt key|Trying private key|No more authentication methods)", re.M
)
_NO_AGENT: Final = re.compile(
    r"^debug1: get_agent_identities: ssh_get_authentication_socket: (.*)$", re.M
)
_NO_AGENT_LISTENS: Final = dict.fromkeys(
    ("No such file or directory", "Connection refused"), NO_AGENT_LISTENS
)
_CIPHER: Final = re.compile(r"^debug1: kex: client->server cipher: (\S+)", re.M)
_SOFTWARE: Final = re.compile(
    r"^debug1: Remote protocol version \S+ remote software version (.*?)$", re.M
)


def failure(log: str, config: HostConfig, public: Collection[str] = frozenset()) -> NixRemoteError:
    """The error for an `ssh` that exited, from its complete log.

    `public` names the identity files that hold a public key.
    """
    if _HOST_KEY_VERIFIED.search(log):
        refused = _LOGIN_REFUSED.search(log)
        if refused:
            return _login_refused(log, refused, config, public)
    else:
        found = _before_host_key_verified(log, config)
        if found is not None:
            return found
    if _TIMED_OUT.search(log):
        return timed_out(log, config)
    return ConnectionBroken(config.alias, "negotiating", last_message(log))


def _before_host_key_verified(log: str, config: HostConfig) -> Optional[NixRemoteError]:
    wrong = _BAD_CONFIG.search(log)
    if wrong:
        return SshConfigUnreadable(wrong["file"] or "of this user", wrong[2])
    if _NOT_RESOLVED.search(log):
        return HostNotFound(config.alias, config.hostname, config.entry_found_in)
    not_connected = _NOT_CONNECTED.search(log)
    if not_connected:
        why = not_connected[1].strip()
        if "timed out" in why:
            return timed_out(log, config)
        not_bound = _NOT_BOUND.search(log)
        if not_bound:
            why = f"BindAddress {not_bound[1]}: {not_bound[2].strip()}"
        return _not_reached(config, why)
    if _KEY_REFUSED.search(log):
        return _key_refused(log, config)
    not_negotiated = _not_negotiated(log, config)
    if not_negotiated is not None:
        return not_negotiated
    if _NO_GREETING.search(log) and not _GREETED.search(log):
        return _proxy_or_jump_failed(log, config)
    return None


def _not_reached(config: HostConfig, why: str) -> NixRemoteError:
    refused = "Connection refused" in why
    return (ConnectionRefused if refused else HostUnreachable)(config.alias, config.address, why)


def _not_negotiated(log: str, config: HostConfig) -> Optional[NixRemoteError]:
    greeted = _GREETED.search(log) is not None
    if config.proxy_command is not None and not greeted:
        return None  # the command may have written it
    found = next((match for each in _NOT_NEGOTIATED if (match := each.search(log))), None)
    if found is not None:
        if config.jump is not None and not greeted and _CUT_OFF.search(log):
            config = _failed_jump(log, config.jump)
        return NegotiationFailed(config.alias, config.address, found[1])
    words = _BEFORE_GREETING.findall(log)
    if words and not greeted and _NO_GREETING.search(log):
        return NegotiationFailed(config.alias, config.address, no_greeting(words))
    return None


def _proxy_or_jump_failed(log: str, config: HostConfig) -> Optional[NixRemoteError]:
    """The error of a ProxyCommand or a jump host; None if the host has neither, or no error."""
    words = _unrelated_lines(log)
    if config.proxy_command is not None:
        why = words[-1] if words else "it exited without a message"
        return ProxyFailed(config.alias, config.proxy_command, why)
    if config.jump is None:
        return None
    refused = _LOGIN_REFUSED.search(log)
    if refused and refused["user"]:
        jump = config.jump
        tried = "every key that ssh has"
        return LoginRefused(jump.alias, refused["user"], tried, "", jump.agent_not_set)
    jump_failed = _JUMP_FAILED.search(log)
    if jump_failed:
        why = f"{config.jump.alias} cannot connect to it: {jump_failed[1]}"
        return _not_reached(config, why)
    return None


def is_dropped(log: str) -> bool:
    """Whether the server closed the connection before its greeting, as a busy sshd does."""
    return (
        not _unrelated_lines(log)
        and _NO_GREETING.search(log) is not None
        and _GREETED.search(log) is None
        and is_of_busy_server(_BEFORE_GREETING.findall(log))
    )


def _key_refused(log: str, config: HostConfig) -> NixRemoteError:
    offered = _OFFERED_HOST_KEY.findall(log)
    if not offered and config.jump is not None:
        config = _failed_jump(log, config.jump)
    key = offered[-1] if offered else "a key"
    name = config.known_hosts_name
    if _KEY_REVOKED.search(log):
        return HostKeyRevoked(config.alias, key, "a known_hosts file")
    if not _KEY_CHANGED.search(log):
        files = " or ".join(str(path) for path in config.known_hosts_files)
        return HostKeyUnknown(config.alias, name, key, files)
    offending = _OFFENDING.search(log)
    if not offending:
        return HostKeyUnacceptable(config.alias, last_message(log))
    kind, file, line = offending.groups()
    return HostKeyChanged(config.alias, name, key, f"another {kind} key", file, int(line))


def _failed_jump(log: str, last: HostConfig) -> HostConfig:
    """The jump host that failed: the `ssh` of each host behind it logs a closed connection."""
    hop = last
    for _ in _CUT_OFF.findall(log)[1:]:
        hop = hop.jump or hop
    return hop


def _login_refused(
    log: str, refused: re.Match[str], config: HostConfig, public: Collection[str]
) -> NixRemoteError:
    tried = _tried(log, refused, public)
    problem = _NO_AGENT.search(log)
    if problem:
        return agent_unreachable(config, _NO_AGENT_LISTENS.get(problem[1], problem[1]), tried)
    to_unlock = auth_log.to_unlock(log)
    return LoginRefused(config.alias, config.user, tried, to_unlock, config.agent_not_set)


def agent_unreachable(
    config: HostConfig, why: str, tried: str = "nothing else"
) -> AgentUnreachable:
    """The error for an SSH agent that cannot be reached."""
    return AgentUnreachable(config.alias, config.user, config.agent_origin, why, tried)


def _tried(log: str, refused: re.Match[str], public: Collection[str]) -> str:
    tried = auth_log.tried(log, public)
    if not tried:
        return "nothing: no key was found"
    if refused["disconnected"]:
        return "; ".join(tried) + " (the server disconnected: too many keys)"
    wanted = refused["wanted"]
    only = "" if "publickey" in wanted.split(",") else f" (the server accepts only {wanted})"
    return "; ".join(tried) + only


def timed_out(log: str, config: HostConfig) -> ConnectionTimedOut:
    """The error for a server that does not respond; it names the step that was expected."""
    waiting_for = next((step for seen, step in _STEPS if seen.search(log)), "the connection")
    return ConnectionTimedOut(config.alias, config.address, waiting_for, config.connect_timeout)


def may_wait_for_agent(log: str) -> bool:
    """Whether `ssh` may be waiting for the SSH agent: it has no list of keys to try yet."""
    return bool(_HOST_KEY_VERIFIED.search(log)) and not _KEYS_COLLECTED.search(log)


def last_message(log: str) -> str:
    """The last line that is not debug output."""
    messages = _messages(log)
    return messages[-1] if messages else "ssh exited without a message"


def _unrelated_lines(log: str) -> list[str]:
    """The messages that are not about the connection to this host."""
    return [line for line in _messages(log) if not _NO_GREETING.match(line)]


def _messages(log: str) -> list[str]:
    lines = [line.strip() for line in log.splitlines()]
    return [line for line in lines if line and not line.startswith("debug1: ")]


def description(log: str) -> str:
    """Cipher and server software of a connection, for messages."""
    found = [pattern.search(log) for pattern in (_CIPHER, _SOFTWARE)]
    return ", ".join(["openssh", *(match[1] for match in found if match)])
