import getpass
from pathlib import Path

import pytest

from nix_remote.errors import SshConfigUnreadable, SshConfigUnsupported
from nix_remote.ssh import config
from nix_remote.ssh.config import HostConfig


@pytest.fixture(autouse=True)
def no_system_config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home folder and a system config of our own."""
    monkeypatch.setenv("HOME", str(tmp_path))
    system = tmp_path / "system_config"
    monkeypatch.setattr(config, "SYSTEM_CONFIG", system)
    return system


def resolve(tmp_path: Path, text: str, alias: str = "nix") -> HostConfig:
    file = tmp_path / "config"
    file.write_text(text)
    return config.resolve(alias, file)


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
    assert (found.port, found.user) == (22, getpass.getuser())
    assert found.entry_found_in is None
    assert found.known_hosts_name == "nix.example.org"
    assert tmp_path / ".ssh" / "id_ed25519" in found.identity_files


def test_no_config_at_all_is_fine(tmp_path: Path) -> None:
    assert config.resolve("nix", tmp_path / "none").hostname == "nix"


def test_a_user_in_the_name_wins(tmp_path: Path) -> None:
    found = resolve(tmp_path, "Host nix\n  User ada\n  Port 5\n", "bob@nix")
    assert (found.user, found.port) == ("bob", 5)


def test_the_first_value_wins_and_the_users_file_is_first(
    tmp_path: Path, no_system_config: Path
) -> None:
    no_system_config.write_text("Host *\n  User system\n  Port 99\n  ConnectTimeout 7\n")
    found = resolve(tmp_path, "Host nix\n  User ada\nHost *\n  User other\n  Port 5\n")
    assert (found.user, found.port, found.connect_timeout) == ("ada", 5, 7)


def test_included_files_are_read_and_end_with_their_blocks(tmp_path: Path) -> None:
    (tmp_path / "extra").mkdir()
    (tmp_path / "extra" / "a").write_text("Host nix\n  User included\nHost zzz\n  Port 1\n")
    found = resolve(tmp_path, "Host nix\n  Port 7\n  Include extra/*\n  HostName h\n")
    assert (found.user, found.port, found.hostname) == ("included", 7, "h")


def test_a_file_that_includes_itself_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(SshConfigUnreadable) as caught:
        resolve(tmp_path, "Include config\n")
    assert "nested too deeply" in caught.value.why


@pytest.mark.parametrize(
    "directive",
    ["ProxyJump bastion", "ProxyCommand nc %h %p", "IdentityAgent /x", "CertificateFile /c"],
)
def test_what_would_lead_elsewhere_is_never_ignored(tmp_path: Path, directive: str) -> None:
    with pytest.raises(SshConfigUnsupported) as caught:
        resolve(tmp_path, f"Host nix\n  {directive}\n")
    assert directive.split()[0].lower() in caught.value.what


@pytest.mark.parametrize("directive", ["ProxyJump none", "ProxyCommand none"])
def test_switched_off_is_not_used(tmp_path: Path, directive: str) -> None:
    assert resolve(tmp_path, f"Host nix\n  {directive}\n").hostname == "nix"


@pytest.mark.parametrize(
    "line", ["Port http", "Port 0", "Port 70000", "Port -1", "ConnectTimeout x"]
)
def test_numbers_that_are_none(tmp_path: Path, line: str) -> None:
    with pytest.raises(SshConfigUnreadable):
        resolve(tmp_path, f"Host nix\n  {line}\n")


def test_a_config_that_cannot_be_parsed_is_named(tmp_path: Path) -> None:
    with pytest.raises(SshConfigUnreadable, match="config"):
        resolve(tmp_path, "Host\n")


def test_what_only_openssh_can_do_is_told(tmp_path: Path) -> None:
    found = resolve(tmp_path, "Host nix\n  PKCS11Provider /usr/lib/opensc.so\n")
    assert found.needs_openssh == ("pkcs11provider /usr/lib/opensc.so",)
    assert resolve(tmp_path, "Host nix\n  PKCS11Provider none\n").needs_openssh == ()
