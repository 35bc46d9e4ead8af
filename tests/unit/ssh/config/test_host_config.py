import contextlib
import socket
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nix_remote.errors import SshConfigError, SshConfigUnreadable
from nix_remote.ssh.config import files, host_config, keywords
from nix_remote.ssh.config.host_config import HostConfig, HostKeyPolicy
from nix_remote.ssh.config.tokens import LocalUser

THIS_USER = host_config.this_user({})


@pytest.fixture(autouse=True)
def system_config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A system config of our own."""
    system = tmp_path / "system_config"
    monkeypatch.setattr(files, "SYSTEM_CONFIG", system)
    return system


def somebody(home: Path, **environment: str) -> LocalUser:
    return LocalUser("ada", THIS_USER.number, str(home), "desk.example.org", environment)


def resolve(tmp_path: Path, text: str, alias: str = "nix", **environment: str) -> HostConfig:
    file = tmp_path / "config"
    file.write_text(text)
    return host_config.resolve(alias, file, somebody(tmp_path, **environment))


def test_an_entry_gives_everything(tmp_path: Path) -> None:
    found = resolve(
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
    found = resolve(tmp_path, "Host other\n  Port 1\n", "nix.example.org")
    assert found.hostname == "nix.example.org"
    assert (found.port, found.user) == (22, "ada")
    assert found.entry_found_in is None
    assert found.known_hosts_name == "nix.example.org"
    assert tmp_path / ".ssh" / "id_ed25519" in found.identity_files


def test_an_entry_for_everybody_is_no_entry(tmp_path: Path) -> None:
    assert resolve(tmp_path, "Host *\n  Port 1\n").entry_found_in is None
    assert resolve(tmp_path, "Host n*\n  Port 1\n").entry_found_in is not None


def test_no_config_at_all_is_fine(tmp_path: Path) -> None:
    assert host_config.resolve("nix", None, somebody(tmp_path)).hostname == "nix"


def test_a_file_that_is_asked_for_has_to_exist(tmp_path: Path) -> None:
    with pytest.raises(SshConfigUnreadable):
        host_config.resolve("nix", tmp_path / "none", somebody(tmp_path))


def test_the_users_file_wins_over_the_systems(tmp_path: Path, system_config: Path) -> None:
    system_config.write_text("Host *\n  User system\n  Port 99\n  ConnectTimeout 7\n")
    own = tmp_path / ".ssh" / "config"
    own.parent.mkdir()
    own.write_text("Host nix\n  User bob\nHost *\n  User other\n  Port 5\n")
    found = host_config.resolve("nix", None, somebody(tmp_path))
    assert (found.user, found.port, found.connect_timeout) == ("bob", 5, 7)


def test_a_file_that_is_asked_for_is_the_only_one(tmp_path: Path, system_config: Path) -> None:
    system_config.write_text("Host *\n  User system\n")
    assert resolve(tmp_path, "Host nix\n  Port 5\n").user == "ada"


def test_a_hop_has_its_own_entry_and_hops_of_its_own(tmp_path: Path) -> None:
    found = resolve(
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


def test_hops_that_are_listed_win_over_a_hops_own(tmp_path: Path) -> None:
    found = resolve(tmp_path, "Host nix\n  ProxyJump one,two\nHost two\n  ProxyJump other\n")
    assert found.jump is not None
    assert found.jump.alias == "two"
    assert found.jump.jump is not None
    assert found.jump.jump.alias == "one"
    assert found.jump.jump.jump is None


def test_jumping_in_a_circle_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(SshConfigUnreadable, match="config") as caught:
        resolve(tmp_path, "Host *\n  ProxyJump bastion\n")
    assert "goes in a circle" in caught.value.why


def test_a_proxy_command_is_ready_for_the_shell(tmp_path: Path) -> None:
    text = "Host nix\n  HostName h\n  User u\n  ProxyCommand nc -u '%r' %h %p %% ${HOME} # %n\n"
    assert resolve(tmp_path, text).proxy_command == "nc -u 'u' h 22 % ${HOME} # nix"


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
def test_where_the_agent_is(tmp_path: Path, value: str, socket_path: Path, named_by: str) -> None:
    text = f"Host nix\n  IdentityAgent {value}\n"
    found = resolve(tmp_path, text, SSH_AUTH_SOCK="/run/agent", OTHER="/run/other")
    assert (found.agent_socket, found.agent_named_by) == (socket_path, named_by)


def test_values_have_the_types_they_need(tmp_path: Path) -> None:
    found = resolve(
        tmp_path,
        "AddressFamily inet6\nStrictHostKeyChecking accept-new\nServerAliveInterval 1m\n"
        "ConnectTimeout 0\nCompression yes\nBindAddress 10.0.0.9\nRequiredRSASize 3072\n",
    )
    assert found.address_family == socket.AF_INET6
    assert found.host_key_policy is HostKeyPolicy.ACCEPT_NEW
    assert (found.server_alive_interval, found.server_alive_count_max) == (60, 3)
    assert found.connect_timeout == host_config.DEFAULT_CONNECT_TIMEOUT
    assert (found.compression, found.bind_address) == (True, "10.0.0.9")
    assert found.required_rsa_size == 3072


def test_a_file_that_includes_itself_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(SshConfigUnreadable) as caught:
        resolve(tmp_path, f"Include {tmp_path}/config\n")
    assert "nested too deeply" in caught.value.why


def test_an_error_says_the_file_and_the_line(tmp_path: Path) -> None:
    with pytest.raises(SshConfigUnreadable) as caught:
        resolve(tmp_path, "Host nix\n\n  Port http-or-so\n")
    assert str(tmp_path / "config") in caught.value.what
    assert caught.value.why.startswith("line 3: ")


def test_a_condition_that_never_ends_is_bounded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "_MATCH_EXEC_TIMEOUT", 0.1)
    with pytest.raises(SshConfigUnreadable) as caught:
        resolve(tmp_path, 'Match exec "sleep 60"\n  User eve\n')
    assert "did not end within 0.1 s" in caught.value.why


def test_a_condition_that_decides_nothing_is_not_run(tmp_path: Path) -> None:
    resolve(tmp_path, f'Match host other exec "touch {tmp_path}/run"\n  User eve\n')
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("PKCS11Provider /usr/lib/opensc.so", "PKCS11Provider /usr/lib/opensc.so"),
        ("GSSAPIAuthentication yes", "GSSAPIAuthentication yes"),
        ("KnownHostsCommand /bin/known %H", "KnownHostsCommand /bin/known %H"),
        ("VerifyHostKeyDNS yes", "VerifyHostKeyDNS yes"),
        ("RevokedHostKeys /etc/revoked", "RevokedHostKeys"),
        ("PubkeyAuthentication no", "PubkeyAuthentication no"),
        ("PreferredAuthentications gssapi-with-mic", "PreferredAuthentications gssapi-with-mic"),
        ("Ciphers chacha20-poly1305@openssh.com", "Ciphers chacha20-poly1305@openssh.com"),
        ("KexAlgorithms sntrup761x25519-sha512", "KexAlgorithms sntrup761x25519-sha512"),
        ("HostKeyAlgorithms sk-ssh-ed25519@openssh.com", "HostKeyAlgorithms sk-ssh"),
        ("BindInterface eth0", "bindinterface ("),
    ],
)
def test_what_only_openssh_can_do_is_told(tmp_path: Path, text: str, reason: str) -> None:
    (said,) = resolve(tmp_path, f"Host nix\n  {text}\n").needs_openssh
    assert said.startswith(reason)
    assert resolve(tmp_path, f"Host other\n  {text}\n").needs_openssh == ()


def test_what_a_hop_needs_the_host_needs(tmp_path: Path) -> None:
    text = "Host nix\n  ProxyJump hop\nHost hop\n  PKCS11Provider /x.so\n"
    assert resolve(tmp_path, text).needs_openssh == ("PKCS11Provider /x.so, of hop",)


def test_gssapi_for_everybody_by_the_system_is_no_wish_of_the_users(
    tmp_path: Path, system_config: Path
) -> None:
    system_config.write_text("Host *\n  GSSAPIAuthentication yes\n")
    assert host_config.resolve("nix", None, somebody(tmp_path)).needs_openssh == ()


def test_a_master_that_is_up_is_used_by_openssh(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as master:
        master.bind(str(tmp_path / "m"))
        text = f"Host nix\n  ControlPath {tmp_path}/m\n"
        assert resolve(tmp_path, text).needs_openssh == (
            f"{tmp_path}/m is a connection that is open",
        )
    (tmp_path / "m").unlink()
    assert resolve(tmp_path, text).needs_openssh == ()


def test_every_directive_has_one_meaning() -> None:
    followed = set(keywords.FOLLOWED)
    assert not followed & keywords.WITHOUT_EFFECT
    assert not set(keywords.ALIASES) & (followed | keywords.WITHOUT_EFFECT)
    assert followed >= keywords.SEVERAL


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
def test_any_text_is_followed_or_refused_with_our_own_error(
    tmp_path_factory: pytest.TempPathFactory, text: str
) -> None:
    file = tmp_path_factory.getbasetemp() / "any"
    file.write_text(text.replace("canonicalizehostname", "user"), errors="surrogateescape")
    with contextlib.suppress(SshConfigError):
        host_config.resolve("nix", file, somebody(file.parent, HOME=str(file.parent)))
