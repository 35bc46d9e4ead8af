import base64
from pathlib import Path

import paramiko
import pytest

from nix_remote.ssh.config import resolve
from nix_remote.ssh.keys import key_files
from nix_remote.ssh.keys.key_files import UnusableKey

KEY = paramiko.ECDSAKey.generate()


def text(value: bytes) -> bytes:
    return len(value).to_bytes(4, "big") + value


IN_HARDWARE = text(b"sk-ssh-ed25519@openssh.com") + text(bytes(32)) + text(b"ssh:")


def openssh_file(public: bytes) -> str:
    """The beginning of an OpenSSH private key: all but the private part."""
    data = b"openssh-key-v1\0" + text(b"aes256-ctr") + text(b"bcrypt") + text(b"options")
    data += (1).to_bytes(4, "big") + text(public)
    body = base64.encodebytes(data).decode()
    return f"-----BEGIN OPENSSH PRIVATE KEY-----\n{body}-----END OPENSSH PRIVATE KEY-----\n"


def test_the_public_part_is_in_the_private_key(tmp_path: Path) -> None:
    (tmp_path / "id").write_text(openssh_file(KEY.asbytes()))
    assert key_files.public_key(tmp_path / "id") == KEY.asbytes()


def test_the_public_part_is_beside_the_private_key(tmp_path: Path) -> None:
    KEY.write_private_key_file(str(tmp_path / "id"))
    assert key_files.public_key(tmp_path / "id") is None
    (tmp_path / "id.pub").write_text(f"{KEY.get_name()} {KEY.get_base64()} comment\n")
    assert key_files.public_key(tmp_path / "id") == KEY.asbytes()
    assert key_files.public_key(tmp_path / "id.pub") == KEY.asbytes()


@pytest.mark.parametrize(
    "content",
    [
        "",
        "nonsense",
        "ssh-ed25519 AAAA",
        f"ssh-rsa {KEY.get_base64()}",
        openssh_file(b"")[:90],
        "-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n-----END OPENSSH PRIVATE KEY-----",
    ],
)
def test_other_files_have_no_public_part(tmp_path: Path, content: str) -> None:
    (tmp_path / "id").write_text(content)
    (tmp_path / "id").chmod(0o600)
    assert not key_files.public_key(tmp_path / "id")
    with pytest.raises(UnusableKey):
        key_files.private_key(tmp_path / "id")


def test_a_key_in_hardware_needs_the_ssh_program(tmp_path: Path) -> None:
    file = tmp_path / "id_sk"
    file.write_text(openssh_file(IN_HARDWARE))
    settings = tmp_path / "config"
    settings.write_text(f"IdentityFile {file}\n")
    found = resolve.resolve("nix", settings, resolve.this_user({}))
    assert found.needs_openssh == (f"{file} is a FIDO key",)
    assert not key_files.is_security_key(tmp_path / "absent")


def test_a_key_that_other_users_can_read_is_not_loaded(tmp_path: Path) -> None:
    KEY.write_private_key_file(str(tmp_path / "id"))
    (tmp_path / "id").chmod(0o600)
    assert key_files.private_key(tmp_path / "id").asbytes() == KEY.asbytes()
    (tmp_path / "id").chmod(0o640)
    with pytest.raises(UnusableKey, match="chmod 600"):
        key_files.private_key(tmp_path / "id")


def test_a_missing_passphrase_is_reported(tmp_path: Path) -> None:
    KEY.write_private_key_file(str(tmp_path / "id"), "secret")
    (tmp_path / "id").chmod(0o600)
    with pytest.raises(UnusableKey, match="passphrase") as caught:
        key_files.private_key(tmp_path / "id")
    assert caught.value.locked
