"""Logs of `ssh`, recorded from OpenSSH 10.6; those of 9.2 and 10.0 have the same words."""

import tempfile
from dataclasses import replace
from pathlib import Path

import pytest

from nix_remote import errors
from nix_remote.ssh.config import resolve
from nix_remote.ssh.config.host_config import HostConfig
from nix_remote.ssh.openssh import diagnostics

_TEXT = """
Host nix-server
    HostName 10.77.0.20
    Port 2222
    User me
    UserKnownHostsFile /home/me/.ssh/known_hosts
    ConnectTimeout 5
"""


def _config() -> HostConfig:
    with tempfile.NamedTemporaryFile("w") as file:
        file.write(_TEXT)
        file.flush()
        return resolve.resolve("nix-server", Path(file.name), resolve.this_user({}))


CONFIG = _config()

CONNECTED = """\
debug1: Connecting to 10.77.0.20 [10.77.0.20] port 2222.
debug1: Connection established.
debug1: Local version string SSH-2.0-OpenSSH_10.6p1 Debian-1
"""
GREETED = (
    CONNECTED
    + "debug1: Remote protocol version 2.0, remote software version OpenSSH_10.6p1 Debian-1\n"
)
SHOWN = GREETED + (
    "debug1: kex: client->server cipher: aes128-gcm@openssh.com MAC: <implicit> compression: none\n"
    "debug1: Server host key: ssh-ed25519 SHA256:xdH57EDpI5lhqhHtHYqDuTqiQpPm1ke+X6LWN4uPVjo\n"
)
KNOWN = SHOWN + "debug1: SSH2_MSG_NEWKEYS received\n"
CHANGED = (
    SHOWN
    + """\
@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@
@    WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED!     @
@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@
Offending ED25519 key in /home/me/.ssh/known hosts:7
Host key verification failed.
"""
)
REVOKED = (
    SHOWN
    + """\
@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@
@       WARNING: REVOKED HOST KEY DETECTED!               @
@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@
The ED25519 host key for 10.77.0.20 is marked as revoked.
Host key verification failed.
"""
)
REFUSED = (
    KNOWN
    + """\
debug1: Offering public key: /home/me/.ssh/id_ed25519 ED25519 SHA256:F2bqHqhVWgPJSRk6 explicit
debug1: Offering public key: work ED25519 SHA256:aaaa agent
debug1: Offering public key: /home/me/.ssh/locked ED25519 SHA256:bbbb explicit
debug1: Server accepts key: /home/me/.ssh/locked ED25519 SHA256:bbbb explicit
debug1: No more authentication methods to try.
me@10.77.0.20: Permission denied (publickey).
"""
)


@pytest.mark.parametrize(
    ("said", "kind", "why"),
    [
        ("ssh: Could not resolve hostname x: Name or service not known", errors.HostNotFound, ""),
        (
            "ssh: connect to host 10.77.0.20 port 1: Connection refused",
            errors.ConnectionRefused,
            "Connection refused",
        ),
        (
            "ssh: connect to host 10.77.0.20 port 1: No route to host",
            errors.HostUnreachable,
            "No route to host",
        ),
        (
            "ssh: connect to host 10.77.0.20 port 22: Connection timed out",
            errors.ConnectionTimedOut,
            "waited 5 s for the connection",
        ),
        (
            CONNECTED + "Connection timed out during banner exchange\n"
            "Connection to 127.0.0.1 port 2300 timed out",
            errors.ConnectionTimedOut,
            "an SSH greeting",
        ),
        (
            GREETED + "Connection to 127.0.0.1 port 2300 timed out",
            errors.ConnectionTimedOut,
            "the key exchange",
        ),
        (
            CONNECTED + "kex_exchange_identification: Connection closed by remote host\n"
            "Connection closed by 127.0.0.1 port 2301",
            errors.ConnectionBroken,
            "Connection closed by 127.0.0.1",
        ),
        (
            SHOWN + "Host key verification failed.",
            errors.HostKeyUnknown,
            "ssh-ed25519 SHA256:xdH57EDpI5lhqhHtHYqDuTqiQpPm1ke+X6LWN4uPVjo",
        ),
        (CHANGED, errors.HostKeyChanged, "known hosts:7 has another ED25519 key"),
        (REVOKED, errors.HostKeyRevoked, "as revoked"),
        (REFUSED, errors.LoginRefused, "/home/me/.ssh/locked (needs a passphrase"),
        (REFUSED, errors.LoginRefused, "work from the SSH agent"),
        (
            KNOWN + "me@h: Permission denied (gssapi-with-mic,password).",
            errors.LoginRefused,
            "nothing: no key was found",
        ),
        (
            "/home/me/.ssh/config: line 3: Bad configuration option: prot\n"
            "/home/me/.ssh/config: terminating, 1 bad configuration options",
            errors.SshConfigUnreadable,
            "line 3: Bad configuration option: prot",
        ),
        ("", errors.ConnectionBroken, "without a message"),
        (
            GREETED + "Unable to negotiate with 10.77.0.20 port 2222: no matching cipher found. "
            "Their offer: chacha20-poly1305@openssh.com",
            errors.NegotiationFailed,
            "no matching cipher found. Their offer: chacha20-poly1305@openssh.com",
        ),
        (
            CONNECTED + "kex_exchange_identification: banner line contains invalid characters\n"
            "banner exchange: Connection to 10.77.0.20 port 2503: invalid format",
            errors.NegotiationFailed,
            "banner line contains invalid characters",
        ),
        (
            CONNECTED + "kex_exchange_identification: No SSH version received in first 1024 lines"
            " from server\nbanner exchange: Connection to 10.77.0.20 port 2506: invalid format",
            errors.NegotiationFailed,
            "No SSH version received",
        ),
        (
            CONNECTED + "Protocol major versions differ: 2 vs. 1\n"
            "banner exchange: Connection to 10.77.0.20 port 2504: could not read protocol version",
            errors.NegotiationFailed,
            "Protocol major versions differ",
        ),
        (
            CONNECTED + "debug1: kex_exchange_identification: banner line 0: 220 mail ready\n"
            "kex_exchange_identification: read: Connection reset by peer\n"
            "Connection reset by 10.77.0.20 port 2501",
            errors.NegotiationFailed,
            "'220 mail ready', which is not an SSH greeting",
        ),
        (
            SHOWN + "ssh_dispatch_run_fatal: Connection to 10.77.0.20 port 2222: "
            "incorrect signature",
            errors.NegotiationFailed,
            "incorrect signature",
        ),
        (
            SHOWN + "ssh_dispatch_run_fatal: Connection to 10.77.0.20 port 2222: Broken pipe",
            errors.ConnectionBroken,
            "Broken pipe",
        ),
    ],
)
def test_each_failure_has_the_same_error_as_over_paramiko(
    said: str, kind: type[errors.NixRemoteError], why: str
) -> None:
    error = diagnostics.failure(said, CONFIG)
    assert type(error) is kind
    assert why in error.why


def test_an_ssh_agent_that_has_ended_is_reported() -> None:
    gone = (
        "debug1: get_agent_identities: ssh_get_authentication_socket: No such file or directory\n"
    )
    error = diagnostics.failure(KNOWN + gone + "me@h: Permission denied (publickey).", CONFIG)
    assert type(error) is errors.AgentUnreachable
    assert "no SSH agent listens there; the session that started it has ended" in error.why


def test_a_bind_address_that_is_unavailable_is_reported() -> None:
    said = (
        "bind 10.0.0.9: Cannot assign requested address\n"
        "ssh: connect to host 10.77.0.20 port 2222: failure\n"
    )
    error = diagnostics.failure(said, CONFIG)
    assert type(error) is errors.HostUnreachable
    assert "BindAddress 10.0.0.9: Cannot assign requested address" in error.why


@pytest.mark.parametrize("cut_off", [1, 2])
def test_the_error_names_the_jump_host_whose_key_is_refused(cut_off: int) -> None:
    first = replace(CONFIG, alias="first")
    second = replace(CONFIG, alias="second", jump=first)
    said = "Host key verification failed.\n" + cut_off * (
        "kex_exchange_identification: Connection closed by remote host\n"
        "Connection closed by UNKNOWN port 65535\n"
    )
    error = diagnostics.failure(said, replace(CONFIG, jump=second))
    assert type(error) is errors.HostKeyUnknown
    assert f"of {'second' if cut_off == 1 else 'first'} is" in error.what


def test_ssh_may_wait_for_the_ssh_agent_until_it_has_a_list_of_keys() -> None:
    assert not diagnostics.may_wait_for_agent(SHOWN)
    assert diagnostics.may_wait_for_agent(KNOWN)
    assert not diagnostics.may_wait_for_agent(REFUSED)


def test_the_error_for_a_proxy_command_has_its_message() -> None:
    said = (
        "no way\ndebug1: kex_exchange_identification: write: Broken pipe\n"
        "banner exchange: Connection to UNKNOWN port 65535: Broken pipe\n"
    )
    error = diagnostics.failure(said, replace(CONFIG, proxy_command="exec false"))
    assert type(error) is errors.ProxyFailed
    assert "no way" in error.why


@pytest.mark.parametrize(
    ("said", "dropped"),
    [
        ("kex_exchange_identification: Connection closed by remote host\n", True),
        ("kex_exchange_identification: read: Connection reset by peer\n", True),
        (
            "debug1: kex_exchange_identification: banner line 0: Exceeded MaxStartups\n"
            "kex_exchange_identification: Connection closed by remote host\n",
            True,
        ),
        (
            "debug1: kex_exchange_identification: banner line 0: <html>\n"
            "kex_exchange_identification: Connection closed by remote host\n",
            False,
        ),
        (KNOWN + "Connection closed by 10.77.0.20 port 2222\n", False),
    ],
)
def test_a_busy_server_is_distinguished_from_others(said: str, dropped: bool) -> None:
    assert diagnostics.is_dropped(said) is dropped


def test_the_fix_for_a_changed_key_names_the_file_with_the_old_key() -> None:
    error = diagnostics.failure(CHANGED, CONFIG)
    assert "ssh-keygen -f '/home/me/.ssh/known hosts' -R '[10.77.0.20]:2222'" in error.fix


def test_a_server_cannot_imitate_messages_of_ssh() -> None:
    greeting = "debug1: kex_exchange_identification: banner line 0: Host key verification failed.\n"
    error = diagnostics.failure(CONNECTED + greeting + "Connection closed", CONFIG)
    assert type(error) is errors.ConnectionBroken
    # Once it has proved who it is, it may speak; only the login can fail then.
    banner = "ssh: Could not resolve hostname x: hm\nHost key verification failed.\n"
    assert type(diagnostics.failure(KNOWN + banner, CONFIG)) is errors.ConnectionBroken


def test_the_error_for_a_silent_server_names_the_expected_step() -> None:
    steps = {"": "the connection", CONNECTED: "greeting", GREETED: "key exchange", KNOWN: "login"}
    for said, step in steps.items():
        assert step in diagnostics.timed_out(said, CONFIG).why


def test_a_connection_is_described_by_its_cipher_and_the_servers_software() -> None:
    words = "openssh, aes128-gcm@openssh.com, OpenSSH_10.6p1 Debian-1"
    assert diagnostics.description(KNOWN) == words


@pytest.mark.parametrize("cut_off", [0, 1, 2])
def test_the_error_names_the_jump_host_that_cannot_negotiate(cut_off: int) -> None:
    first = replace(CONFIG, alias="first")
    second = replace(CONFIG, alias="second", jump=first)
    said = (
        "Unable to negotiate with 10.77.0.30 port 2401: no matching cipher found.\n"
        + (
            "kex_exchange_identification: Connection closed by remote host\n"
            "Connection closed by UNKNOWN port 65535\n"
        )
        * cut_off
    )
    error = diagnostics.failure(said, replace(CONFIG, jump=second))
    assert type(error) is errors.NegotiationFailed
    assert f" {('nix-server', 'second', 'first')[cut_off]} (" in error.what


def test_a_public_key_among_the_identity_files_is_reported_as_one() -> None:
    error = diagnostics.failure(REFUSED, CONFIG, {"/home/me/.ssh/id_ed25519"})
    assert "/home/me/.ssh/id_ed25519 (a public key whose private key is not in" in error.why
    assert "chmod" not in error.why


def test_an_invalid_key_file_is_not_reported_as_locked() -> None:
    said = KNOWN + (
        "debug1: Trying private key: /k/ppk\n"
        'Load key "/k/ppk": invalid format\n'
        "debug1: No more authentication methods to try.\n"
        "me@10.77.0.20: Permission denied (publickey).\n"
    )
    error = diagnostics.failure(said, CONFIG)
    assert "/k/ppk (cannot be loaded: invalid format)" in error.why
