from pathlib import Path

import paramiko
import pytest

from nix_remote.errors import (
    HostKeyChanged,
    HostKeyRevoked,
    HostKeyUnacceptable,
    HostKeyUnknown,
)
from nix_remote.ssh import host_key_check
from nix_remote.ssh.config.host_config import HostConfig
from nix_remote.ssh.config.resolve import resolve, this_user
from nix_remote.ssh.keys.known_hosts import fingerprint

KEY = paramiko.ECDSAKey.generate()
OTHER = paramiko.ECDSAKey.generate()
ANOTHER_KIND = paramiko.RSAKey.generate(2048)
NAME = "[10.0.0.1]:2222"


def line(name: str, key: paramiko.PKey) -> str:
    return f"{name} {key.get_name()} {key.get_base64()}\n"


def host(tmp_path: Path, known: str, *options: str) -> HostConfig:
    file = tmp_path / "known_hosts"
    file.write_text(known)
    settings = tmp_path / "config"
    settings.write_text(
        "\n".join(
            [
                *options,
                "HostName 10.0.0.1\nPort 2222",
                f"UserKnownHostsFile {file}\nGlobalKnownHostsFile {tmp_path}/absent\n",
            ]
        )
    )
    return resolve("nix", settings, this_user({}))


def test_the_known_key_is_accepted(tmp_path: Path) -> None:
    assert host_key_check.check(host(tmp_path, line(NAME, KEY)), KEY, "10.0.0.1") == ""


def test_an_unknown_key_is_refused_with_its_fingerprint_and_the_files(tmp_path: Path) -> None:
    with pytest.raises(HostKeyUnknown) as caught:
        host_key_check.check(host(tmp_path, line("other", KEY)), KEY, None)
    for part in (fingerprint(KEY.asbytes()), NAME, "known_hosts or ", "absent"):
        assert part in caught.value.why
    assert "ssh nix true" in caught.value.fix


def test_a_changed_key_is_refused_with_both_fingerprints_and_the_line(tmp_path: Path) -> None:
    with pytest.raises(HostKeyChanged) as caught:
        host_key_check.check(host(tmp_path, "\n" + line(NAME, OTHER)), KEY, None)
    for part in (fingerprint(KEY.asbytes()), fingerprint(OTHER.asbytes()), "known_hosts:2 "):
        assert part in caught.value.why
    assert f"-R '{NAME}'" in caught.value.fix


def test_a_revoked_key_is_refused_with_the_line(tmp_path: Path) -> None:
    known = line(NAME, KEY) + f"@revoked {line('*', KEY)}"
    with pytest.raises(HostKeyRevoked, match="revoked") as caught:
        host_key_check.check(host(tmp_path, known), KEY, None)
    assert "known_hosts:2 " in caught.value.why


def test_what_is_accepted_without_verification_is_reported(tmp_path: Path) -> None:
    config = host(tmp_path, line(NAME, OTHER), "StrictHostKeyChecking no")
    assert "has changed" in host_key_check.check(config, KEY, None)
    config = host(tmp_path, "", "StrictHostKeyChecking accept-new")
    said = host_key_check.check(config, KEY, None)
    assert fingerprint(KEY.asbytes()) in said
    assert f"added to {tmp_path}/known_hosts" in said
    assert host_key_check.check(config, KEY, None) == ""


def test_a_file_that_cannot_be_written_is_reported(tmp_path: Path) -> None:
    config = host(tmp_path, "", "StrictHostKeyChecking no", f"UserKnownHostsFile {tmp_path}")
    assert "Is a directory" in host_key_check.check(config, KEY, None)


def test_the_address_must_not_have_another_known_key(tmp_path: Path) -> None:
    config = host(
        tmp_path,
        line("[nix.example.org]:2222", KEY) + line(NAME, OTHER),
        "HostName nix.example.org\nCheckHostIP yes",
    )
    with pytest.raises(HostKeyChanged) as caught:
        host_key_check.check(config, KEY, "10.0.0.1")
    assert NAME in caught.value.why


def test_a_short_key_is_refused(tmp_path: Path) -> None:
    config = host(tmp_path, line(NAME, ANOTHER_KIND), "RequiredRSASize 3072")
    with pytest.raises(HostKeyUnacceptable) as caught:
        host_key_check.check(config, ANOTHER_KIND, None)
    assert "2048 bits" in caught.value.why


def test_algorithms_of_known_keys_are_offered_first(tmp_path: Path) -> None:
    assert host_key_check.preferred(host(tmp_path, line(NAME, ANOTHER_KIND)))[0].startswith(
        "rsa-sha2"
    )
    assert host_key_check.preferred(host(tmp_path, line(NAME, KEY)))[0].startswith(
        "ecdsa-sha2-nistp256"
    )
    config = host(tmp_path, line(NAME, KEY), "HostKeyAlgorithms rsa-sha2-256,ecdsa-sha2-nistp256")
    assert host_key_check.preferred(config) == ("rsa-sha2-256", "ecdsa-sha2-nistp256")
