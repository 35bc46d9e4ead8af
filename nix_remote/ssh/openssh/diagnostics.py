"""What the `ssh` program says when it cannot connect, as our errors. Pure: its words in, error out.

The words are those of OpenSSH 9.2, 10.0 and 10.6 with `LogLevel DEBUG1`.
Everything is looked for at the beginning of lines: what a server sends comes
behind a prefix of `ssh`'s, until the server has proved who it is.
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
from nix_remote.ssh.keys.ssh_agent import AGENT_IS_GONE
from nix_remote.ssh.openssh import auth_log
from nix_remote.ssh.paramiko.handshake import no_greeting

_SERVER_IS_KNOWN: Final = re.compile(r"^debug1: SSH2_MSG_NEWKEYS received", re.M)
_STEPS: Final = (
    (_SERVER_IS_KNOWN, "the login"),
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
_BUSY: Final = ("Exceeded MaxStartups", "Not allowed at this time")
_HOP_FAILED: Final = re.compile(r"^channel \d+: open failed: (?:connect failed: )?(.*)$", re.M)
_KEY_REFUSED: Final = re.compile(r"^Host key verification failed", re.M)
_KEY_CHANGED: Final = re.compile(r"^@ +WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED", re.M)
_KEY_REVOKED: Final = re.compile(r"^@ +WARNING: REVOKED HOST KEY DETECTED", re.M)
_SHOWN_KEY: Final = re.compile(r"^debug1: Server host key: (\S+ SHA256:\S+)", re.M)
_OFFENDING: Final = re.compile(r"^Offending (\S+) key in (.+):([0-9]{1,9})$", re.M)
_LOGIN_REFUSED: Final = re.compile(
    r"^((?P<user>[^@\s]*)@?\S*: Permission denied \((?P<wanted>.*)\)"
    r"|(?P<hung_up>Received disconnect .*Too many authentication failures"
    r"|Disconnected from .*Too many authentication failures))",
    re.M,
)
_KEYS_COLLECTED: Final = re.compile(
    r"^debug1: (Will attempt key|Trying private key|No more authentication methods)", re.M
)
_NO_AGENT: Final = re.compile(
    r"^debug1: get_agent_identities: ssh_get_authentication_socket: (.*)$", re.M
)
_AGENT_IS_GONE: Final = dict.fromkeys(
    ("No such file or directory", "Connection refused"), AGENT_IS_GONE
)
_CIPHER: Final = re.compile(r"^debug1: kex: client->server cipher: (\S+)", re.M)
_SOFTWARE: Final = re.compile(
    r"^debug1: Remote protocol version \S+ remote software version (.*?)$", re.M
)


def failure(said: str, config: HostConfig, public: Collection[str] = frozenset()) -> NixRemoteError:
    """Why there is no connection, from all that `ssh` wrote until it gave up.

    `public` names the identity files that have no private key.
    """
    if _SERVER_IS_KNOWN.search(said):
        refused = _LOGIN_REFUSED.search(said)
        if refused:
            return _login_refused(said, refused, config, public)
    else:
        found = _before_the_server_is_known(said, config)
        if found is not None:
            return found
    if _TIMED_OUT.search(said):
        return timed_out(said, config)
    return ConnectionBroken(config.alias, "negotiating", last_words(said))


def _before_the_server_is_known(said: str, config: HostConfig) -> Optional[NixRemoteError]:
    wrong = _BAD_CONFIG.search(said)
    if wrong:
        return SshConfigUnreadable(wrong["file"] or "of this user", wrong[2])
    if _NOT_RESOLVED.search(said):
        return HostNotFound(config.alias, config.hostname, config.entry_found_in)
    not_connected = _NOT_CONNECTED.search(said)
    if not_connected:
        why = not_connected[1].strip()
        if "timed out" in why:
            return timed_out(said, config)
        not_bound = _NOT_BOUND.search(said)
        if not_bound:
            why = f"BindAddress {not_bound[1]}: {not_bound[2].strip()}"
        return _not_reached(config, why)
    if _KEY_REFUSED.search(said):
        return _key_refused(said, config)
    not_negotiated = _not_negotiated(said, config)
    if not_negotiated is not None:
        return not_negotiated
    if _NO_GREETING.search(said) and not _GREETED.search(said):
        return _on_the_way(said, config)
    return None


def _not_reached(config: HostConfig, why: str) -> NixRemoteError:
    refused = "Connection refused" in why
    return (ConnectionRefused if refused else HostUnreachable)(config.alias, config.address, why)


def _not_negotiated(said: str, config: HostConfig) -> Optional[NixRemoteError]:
    greeted = _GREETED.search(said) is not None
    if config.proxy_command is not None and not greeted:
        return None  # the words may be those of the command
    found = next((match for each in _NOT_NEGOTIATED if (match := each.search(said))), None)
    if found is not None:
        if config.jump is not None and not greeted and _CUT_OFF.search(said):
            config = _hop_that_ended(said, config.jump)
        return NegotiationFailed(config.alias, config.address, found[1])
    words = _BEFORE_GREETING.findall(said)
    if words and not greeted and _NO_GREETING.search(said):
        return NegotiationFailed(config.alias, config.address, no_greeting(words[0]))
    return None


def _on_the_way(said: str, config: HostConfig) -> Optional[NixRemoteError]:
    """What a ProxyCommand or a hop says, if there is one; this host has said nothing."""
    words = _others_words(said)
    if config.proxy_command is not None:
        why = words[-1] if words else "it ended without a word"
        return ProxyFailed(config.alias, config.proxy_command, why)
    if config.jump is None:
        return None
    refused = _LOGIN_REFUSED.search(said)
    if refused and refused["user"]:
        return LoginRefused(
            config.jump.alias, refused["user"], "all that ssh has", "", config.jump.agent_not_set
        )
    no_way = _HOP_FAILED.search(said)
    if no_way:
        why = f"{config.jump.alias} does not connect us to it: {no_way[1]}"
        return _not_reached(config, why)
    return None


def is_dropped(said: str) -> bool:
    """Whether the server has closed the connection at once, as it does when it is busy."""
    words = _BEFORE_GREETING.findall(said)
    return (
        not _others_words(said)
        and _NO_GREETING.search(said) is not None
        and _GREETED.search(said) is None
        and all(any(busy in word for busy in _BUSY) for word in words)
    )


def _key_refused(said: str, config: HostConfig) -> NixRemoteError:
    shown = _SHOWN_KEY.findall(said)
    if not shown and config.jump is not None:
        config = _hop_that_ended(said, config.jump)
    key = shown[-1] if shown else "a key"
    name = config.known_hosts_name
    if _KEY_REVOKED.search(said):
        return HostKeyRevoked(config.alias, key, "a known_hosts file")
    if not _KEY_CHANGED.search(said):
        files = " or ".join(str(path) for path in config.known_hosts_files)
        return HostKeyUnknown(config.alias, name, key, files)
    offending = _OFFENDING.search(said)
    if not offending:
        return HostKeyUnacceptable(config.alias, last_words(said))
    kind, file, line = offending.groups()
    return HostKeyChanged(config.alias, name, key, f"another {kind} key", file, int(line))


def _hop_that_ended(said: str, last: HostConfig) -> HostConfig:
    """Whose own `ssh` gave up first: each that waited for it says that it was cut off."""
    hop = last
    for _ in _CUT_OFF.findall(said)[1:]:
        hop = hop.jump or hop
    return hop


def _login_refused(
    said: str, refused: re.Match[str], config: HostConfig, public: Collection[str]
) -> NixRemoteError:
    tried = _tried(said, refused, public)
    problem = _NO_AGENT.search(said)
    if problem:
        return agent_unreachable(config, _AGENT_IS_GONE.get(problem[1], problem[1]), tried)
    to_unlock = auth_log.to_unlock(said)
    return LoginRefused(config.alias, config.user, tried, to_unlock, config.agent_not_set)


def agent_unreachable(
    config: HostConfig, why: str, tried: str = "nothing else"
) -> AgentUnreachable:
    """The error for an agent that cannot be asked, for this reason in words."""
    agent = f"{config.agent_named_by} names {config.agent_socket}"
    return AgentUnreachable(config.alias, config.user, agent, why, tried)


def _tried(said: str, refused: re.Match[str], public: Collection[str]) -> str:
    tried = auth_log.in_words(said, public)
    if not tried:
        return "nothing: there is no key"
    if refused["hung_up"]:
        return "; ".join(tried) + " (the server hung up: too many keys)"
    wanted = refused["wanted"]
    only = "" if "publickey" in wanted.split(",") else f" (the server wants {wanted})"
    return "; ".join(tried) + only


def timed_out(said: str, config: HostConfig) -> ConnectionTimedOut:
    """The error for a server that did not go on; it names the step that was due."""
    waiting_for = next((step for seen, step in _STEPS if seen.search(said)), "the connection")
    return ConnectionTimedOut(config.alias, config.address, waiting_for, config.connect_timeout)


def is_asking_the_agent(said: str) -> bool:
    """Whether it may be the agent that it waits for: it knows the server, but not its own keys."""
    return bool(_SERVER_IS_KNOWN.search(said)) and not _KEYS_COLLECTED.search(said)


def last_words(said: str) -> str:
    """The last line that is meant for people."""
    spoken = _spoken(said)
    return spoken[-1] if spoken else "ssh ended without a word"


def _others_words(said: str) -> list[str]:
    """What is not about the connection to this host."""
    return [line for line in _spoken(said) if not _NO_GREETING.match(line)]


def _spoken(said: str) -> list[str]:
    lines = [line.strip() for line in said.splitlines()]
    return [line for line in lines if line and not line.startswith("debug1: ")]


def description(said: str) -> str:
    """Cipher and server of a connection, in words."""
    found = [pattern.search(said) for pattern in (_CIPHER, _SOFTWARE)]
    return ", ".join(["openssh", *(match[1] for match in found if match)])
