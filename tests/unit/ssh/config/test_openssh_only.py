import socket
from pathlib import Path

import pytest

from nix_remote.ssh.config.resolve import resolve
from tests.unit.ssh.config.entries import ada, resolved


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
def test_options_that_need_openssh_are_reported(tmp_path: Path, text: str, reason: str) -> None:
    (said,) = resolved(tmp_path, f"Host nix\n  {text}\n").needs_openssh
    assert said.startswith(reason)
    assert resolved(tmp_path, f"Host other\n  {text}\n").needs_openssh == ()


def test_a_host_needs_what_its_jump_host_needs(tmp_path: Path) -> None:
    text = "Host nix\n  ProxyJump hop\nHost hop\n  PKCS11Provider /x.so\n"
    assert resolved(tmp_path, text).needs_openssh == ("PKCS11Provider /x.so, of hop",)


def test_gssapi_in_the_systems_config_does_not_need_openssh(
    tmp_path: Path, system_config: Path
) -> None:
    system_config.write_text("Host *\n  GSSAPIAuthentication yes\n")
    assert resolve("nix", None, ada(tmp_path)).needs_openssh == ()


def test_an_open_master_connection_needs_openssh(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as master:
        master.bind(str(tmp_path / "m"))
        text = f"Host nix\n  ControlPath {tmp_path}/m\n"
        assert resolved(tmp_path, text).needs_openssh == (f"{tmp_path}/m is an open connection",)
    (tmp_path / "m").unlink()
    assert resolved(tmp_path, text).needs_openssh == ()
