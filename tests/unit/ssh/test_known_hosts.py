from pathlib import Path

import paramiko
import pytest

from nix_remote.errors import HostKeyChanged, HostKeyUnknown, SshConfigUnreadable
from nix_remote.ssh import known_hosts
from nix_remote.ssh.config import HostConfig, resolve, this_user

KEY = paramiko.ECDSAKey.generate()
OTHER = paramiko.ECDSAKey.generate()
ANOTHER_KIND = paramiko.RSAKey.generate(2048)


def host(tmp_path: Path, *lines: str) -> HostConfig:
    file = tmp_path / "known_hosts"
    file.write_text("".join(f"{line}\n" for line in lines))
    settings = tmp_path / "config"
    settings.write_text(
        f"HostName 10.0.0.1\nPort 2222\nUserKnownHostsFile {file}\n"
        f"GlobalKnownHostsFile {tmp_path}/absent\n"
    )
    return resolve("nix", settings, this_user({}))


def line(name: str, key: paramiko.PKey) -> str:
    return f"{name} {key.get_name()} {key.get_base64()}"


def verdict(config: HostConfig, key: paramiko.PKey) -> None:
    known_hosts.check(config, known_hosts.known_keys(config), key)


def test_the_known_key_is_accepted(tmp_path: Path) -> None:
    verdict(host(tmp_path, "# comment", line("[10.0.0.1]:2222", KEY)), KEY)


def test_hashed_names_are_understood(tmp_path: Path) -> None:
    hashed = paramiko.HostKeys.hash_host("[10.0.0.1]:2222")
    verdict(host(tmp_path, line(hashed, KEY)), KEY)


def test_another_port_is_another_server(tmp_path: Path) -> None:
    with pytest.raises(HostKeyUnknown) as caught:
        verdict(host(tmp_path, line("10.0.0.1", KEY)), KEY)
    assert known_hosts.fingerprint(KEY) in caught.value.why
    assert "[10.0.0.1]:2222" in caught.value.why


def test_a_changed_key_is_refused_with_both_fingerprints_and_the_file(tmp_path: Path) -> None:
    config = host(tmp_path, line("[10.0.0.1]:2222", OTHER))
    with pytest.raises(HostKeyChanged) as caught:
        verdict(config, KEY)
    for part in (known_hosts.fingerprint(KEY), known_hosts.fingerprint(OTHER), "known_hosts"):
        assert part in caught.value.why
    assert "ssh-keygen" in caught.value.fix


def test_a_key_of_another_kind_than_known_is_unknown(tmp_path: Path) -> None:
    with pytest.raises(HostKeyUnknown):
        verdict(host(tmp_path, line("[10.0.0.1]:2222", ANOTHER_KIND)), KEY)


def test_one_of_several_known_keys_is_enough(tmp_path: Path) -> None:
    name = "[10.0.0.1]:2222"
    verdict(host(tmp_path, line(name, ANOTHER_KIND), line(name, KEY)), KEY)


def test_fingerprints_look_like_those_of_openssh() -> None:
    assert known_hosts.fingerprint(KEY).startswith("ecdsa-sha2-nistp256 SHA256:")
    assert len(known_hosts.fingerprint(KEY).split(":")[1]) == 43


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    config = host(tmp_path)
    (tmp_path / "known_hosts").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(SshConfigUnreadable, match="known_hosts"):
        known_hosts.known_keys(config)
