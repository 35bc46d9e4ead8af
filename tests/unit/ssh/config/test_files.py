from pathlib import Path

import pytest

from nix_remote.errors import SshConfigUnreadable
from nix_remote.ssh.config.resolve import resolve
from tests.unit.ssh.config.entries import ada, resolved


def test_an_entry_for_all_hosts_is_not_counted(tmp_path: Path) -> None:
    assert resolved(tmp_path, "Host *\n  Port 1\n").entry_found_in is None
    assert resolved(tmp_path, "Host n*\n  Port 1\n").entry_found_in is not None


def test_a_given_file_must_exist(tmp_path: Path) -> None:
    with pytest.raises(SshConfigUnreadable):
        resolve("nix", tmp_path / "none", ada(tmp_path))


def test_the_users_file_overrides_the_systems(tmp_path: Path, system_config: Path) -> None:
    system_config.write_text("Host *\n  User system\n  Port 99\n  ConnectTimeout 7\n")
    own = tmp_path / ".ssh" / "config"
    own.parent.mkdir()
    own.write_text("Host nix\n  User bob\nHost *\n  User other\n  Port 5\n")
    found = resolve("nix", None, ada(tmp_path))
    assert (found.user, found.port, found.connect_timeout) == ("bob", 5, 7)


def test_a_given_file_is_the_only_one(tmp_path: Path, system_config: Path) -> None:
    system_config.write_text("Host *\n  User system\n")
    assert resolved(tmp_path, "Host nix\n  Port 5\n").user == "ada"


def test_a_file_that_includes_itself_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(SshConfigUnreadable) as caught:
        resolved(tmp_path, f"Include {tmp_path}/config\n")
    assert "nested too deeply" in caught.value.why


def test_an_error_names_the_file_and_the_line(tmp_path: Path) -> None:
    with pytest.raises(SshConfigUnreadable) as caught:
        resolved(tmp_path, "Host nix\n\n  Port http-or-so\n")
    assert str(tmp_path / "config") in caught.value.what
    assert caught.value.why.startswith("line 3: ")
