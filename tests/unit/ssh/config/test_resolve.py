import contextlib
import socket
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nix_remote.errors import SshConfigError, SshConfigUnreadable
from nix_remote.ssh.config import keywords
from nix_remote.ssh.config.host_config import HostKeyPolicy
from nix_remote.ssh.config.resolve import DEFAULT_CONNECT_TIMEOUT, resolve
from tests.unit.ssh.config.entries import ada, resolved


def test_an_entry_sets_values(tmp_path: Path) -> None:
    found = resolved(
        tmp_path,
        "Host nix\n  HostName 10.0.0.1\n  Port 2222\n  User ada\n  IdentityFile ~/.ssh/work\n"
        "  IdentitiesOnly yes\n  ConnectTimeout 3\n  UserKnownHostsFile /a /b\n"
        "  GlobalKnownHostsFile none\n",
    )
    assert (found.hostname, found.port, found.user) == ("10.0.0.1", 2222, "ada")
    assert found.identity_files == (tmp_path / ".ssh" / "work",)
    assert found.identities_only
    assert found.connect_timeout == 3
    assert found.known_hosts_files == (Path("/a"), Path("/b"))
    assert found.entry_found_in == str(tmp_path / "config")
    assert found.known_hosts_name == "[10.0.0.1]:2222"


def test_a_name_without_entry_is_a_host_name(tmp_path: Path) -> None:
    found = resolved(tmp_path, "Host other\n  Port 1\n", "nix.example.org")
    assert found.hostname == "nix.example.org"
    assert (found.port, found.user) == (22, "ada")
    assert found.entry_found_in is None
    assert found.known_hosts_name == "nix.example.org"
    assert tmp_path / ".ssh" / "id_ed25519" in found.identity_files


def test_a_config_is_not_required(tmp_path: Path) -> None:
    assert resolve("nix", None, ada(tmp_path)).hostname == "nix"


def test_a_jump_host_has_its_own_entry_and_jump_host(tmp_path: Path) -> None:
    found = resolved(
        tmp_path,
        "Host nix\n  ProxyJump two\n"
        "Host two\n  HostName 10.0.0.2\n  User hop\n  ProxyJump bob@one:2222\n"
        "Host one\n  HostName 10.0.0.1\n  User never\n  HostKeyAlias first\n",
    )
    assert found.jump is not None
    assert (found.jump.hostname, found.jump.user, found.jump.port) == ("10.0.0.2", "hop", 22)
    first = found.jump.jump
    assert first is not None
    assert (first.hostname, first.user, first.port) == ("10.0.0.1", "bob", 2222)
    assert first.known_hosts_name == "first"
    assert first.jump is None


def test_listed_jump_hosts_override_the_jump_hosts_own(tmp_path: Path) -> None:
    found = resolved(tmp_path, "Host nix\n  ProxyJump one,two\nHost two\n  ProxyJump other\n")
    assert found.jump is not None
    assert found.jump.alias == "two"
    assert found.jump.jump is not None
    assert found.jump.jump.alias == "one"
    assert found.jump.jump.jump is None


def test_a_loop_of_jump_hosts_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(SshConfigUnreadable, match="config") as caught:
        resolved(tmp_path, "Host *\n  ProxyJump bastion\n")
    assert "forms a loop" in caught.value.why


def test_tokens_of_a_proxy_command_are_expanded(tmp_path: Path) -> None:
    text = "Host nix\n  HostName h\n  User u\n  ProxyCommand nc -u '%r' %h %p %% ${HOME} # %n\n"
    assert resolved(tmp_path, text).proxy_command == "nc -u 'u' h 22 % ${HOME} # nix"


@pytest.mark.parametrize(
    ("value", "socket_path", "named_by"),
    [
        ("SSH_AUTH_SOCK", Path("/run/agent"), "SSH_AUTH_SOCK"),
        ("$OTHER", Path("/run/other"), "OTHER"),
        ("${OTHER}", Path("/run/other"), "IdentityAgent"),
        ("$UNSET", None, "UNSET"),
        ("none", None, "IdentityAgent"),
        ("/run/%r/socket", Path("/run/ada/socket"), "IdentityAgent"),
    ],
)
def test_the_socket_of_the_ssh_agent(
    tmp_path: Path, value: str, socket_path: Path, named_by: str
) -> None:
    text = f"Host nix\n  IdentityAgent {value}\n"
    found = resolved(tmp_path, text, SSH_AUTH_SOCK="/run/agent", OTHER="/run/other")
    assert (found.agent_socket, found.agent_named_by) == (socket_path, named_by)


def test_the_types_of_values(tmp_path: Path) -> None:
    found = resolved(
        tmp_path,
        "AddressFamily inet6\nStrictHostKeyChecking accept-new\nServerAliveInterval 1m\n"
        "ConnectTimeout 0\nCompression yes\nBindAddress 10.0.0.9\nRequiredRSASize 3072\n",
    )
    assert found.address_family == socket.AF_INET6
    assert found.host_key_policy is HostKeyPolicy.ACCEPT_NEW
    assert (found.server_alive_interval, found.server_alive_count_max) == (60, 3)
    assert found.connect_timeout == DEFAULT_CONNECT_TIMEOUT
    assert (found.compression, found.bind_address) == (True, "10.0.0.9")
    assert found.required_rsa_size == 3072


_WORD = st.sampled_from(
    [
        *keywords.FOLLOWED,
        *("host", "match", "include", "all", "final", "canonical", "user", "nix", "*", "!nix"),
        *("yes", "no", "none", "22", "1m", "%h", "%%", "%", "${HOME}", "${", "~", "~x", "=", "#"),
        *('"', "'", "\\", "a,b", "+a", "a@b:1", "[::1]", "\t", "\x00", "\udcff", "é"),
    ]
)
_CONFIG = st.lists(st.lists(_WORD, max_size=5).map(" ".join), max_size=8).map("\n".join)


@given(text=st.one_of(_CONFIG, st.text(max_size=200)))
def test_any_text_is_parsed_or_refused_with_an_ssh_config_error(
    tmp_path_factory: pytest.TempPathFactory, text: str
) -> None:
    file = tmp_path_factory.getbasetemp() / "any"
    file.write_text(text.replace("canonicalizehostname", "user"), errors="surrogateescape")
    with contextlib.suppress(SshConfigError):
        resolve("nix", file, ada(file.parent, HOME=str(file.parent)))
