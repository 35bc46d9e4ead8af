import socket
from pathlib import Path
from typing import Callable, NoReturn

import paramiko
import pytest

from nix_remote.errors import ConnectionBroken, LoginRefused
from nix_remote.ssh.config.host_config import HostConfig
from nix_remote.ssh.config.resolve import resolve, this_user
from nix_remote.ssh.paramiko.auth import authenticate
from nix_remote.ssh.paramiko.handshake import Connection
from nix_remote.ssh.paramiko.unsupported import Unsupported


def test_a_connection_that_ended_before_a_key_was_offered_is_reported_as_broken(
    tmp_path: Path,
) -> None:
    key = tmp_path / "key"
    paramiko.ECDSAKey.generate().write_private_key_file(str(key))
    entry = tmp_path / "config"
    entry.write_text(f"HostName 127.0.0.1\nIdentityFile {key}\nIdentityAgent none\n")
    config = resolve("nix", entry, this_user({}))
    ours, theirs = socket.socketpair()
    with ours, theirs:
        connection = Connection(ours, config)  # no session, as after its end
        with pytest.raises(Unsupported) as caught:
            authenticate(connection, config)
        connection.close()
    assert isinstance(caught.value.error, ConnectionBroken)
    assert "while logging in" in caught.value.error.render()


class Answers(Connection):
    """A connection to a server that answers every login with the same error."""

    def __init__(self, stream: socket.socket, config: HostConfig, answer: Exception) -> None:
        super().__init__(stream, config)
        self.answer = answer
        self.ended = False

    def is_active(self) -> bool:
        return not self.ended

    def auth_publickey(self, *_: object) -> NoReturn:
        raise self.answer

    def auth_none(self, *_: object) -> list[str]:
        raise paramiko.BadAuthenticationType("", ["publickey"])


@pytest.fixture
def entry(tmp_path: Path) -> Callable[..., HostConfig]:
    def resolved(*lines: str) -> HostConfig:
        file = tmp_path / "config"
        file.write_text("\n".join(["HostName 127.0.0.1", "IdentityAgent none", *lines, ""]))
        return resolve("nix", file, this_user({}))

    return resolved


def good_key(tmp_path: Path) -> str:
    paramiko.ECDSAKey.generate().write_private_key_file(str(tmp_path / "key"))
    return f"IdentityFile {tmp_path}/key"


DISCONNECTED = {"ended": True, "disconnect_message": "Disconnect (code 2): Too many"}
REFUSED = paramiko.AuthenticationException("Authentication failed.")


def ended_with(config: HostConfig, answer: Exception, **state: object) -> Exception:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        connection = Answers(ours, config, answer)
        for name, value in state.items():
            setattr(connection, name, value)
        with pytest.raises((Unsupported, LoginRefused)) as caught:
            authenticate(connection, config)
    return caught.value


def test_if_the_server_refuses_a_usable_key_ssh_is_not_tried(
    tmp_path: Path, entry: Callable[..., HostConfig]
) -> None:
    assert isinstance(ended_with(entry(good_key(tmp_path)), REFUSED), LoginRefused)
    assert isinstance(ended_with(entry("IdentityFile none"), REFUSED), LoginRefused)


@pytest.mark.parametrize(
    ("lines", "answer", "state", "why"),
    [
        ([], paramiko.SSHException("no way to sign"), {}, "no way to sign"),
        ([], TypeError("a defect"), {}, "a defect"),
        ([], paramiko.AuthenticationException("no algorithm"), {"ended": True}, "no algorithm"),
        ([], paramiko.SSHException("x"), DISCONNECTED, "too many keys"),
        (["PubkeyAcceptedAlgorithms +ssh-rsa"], REFUSED, {}, "PubkeyAcceptedAlgorithms ssh-rsa"),
        (["GSSAPIAuthentication yes"], REFUSED, {}, "GSSAPIAuthentication"),
        (["IdentityFile {folder}/odd"], REFUSED, {}, "odd"),
    ],
    ids=["sign", "defect", "algorithm", "disconnect", "old-rsa", "kerberos", "odd-key"],
)
def test_failures_that_ssh_may_avoid_are_left_to_ssh(
    tmp_path: Path,
    entry: Callable[..., HostConfig],
    lines: list[str],
    answer: Exception,
    state: dict[str, object],
    why: str,
) -> None:
    odd = tmp_path / "odd"
    odd.write_text("PuTTY-User-Key-File-3: ssh-ed25519\n")
    odd.chmod(0o600)
    lines = [line.format(folder=tmp_path) for line in lines]
    found = ended_with(entry(good_key(tmp_path), *lines), answer, **state)
    assert isinstance(found, Unsupported)
    assert why in found.why
    assert isinstance(found.error, LoginRefused)


def test_without_an_ssh_agent_the_error_names_the_variable_for_one(tmp_path: Path) -> None:
    file = tmp_path / "config"
    file.write_text("HostName 127.0.0.1\nIdentityFile none\n")
    for variables, named in (({}, True), ({"SSH_AUTH_SOCK": str(tmp_path / "s")}, False)):
        config = resolve("nix", file, this_user(variables))
        assert (config.agent_not_set == "SSH_AUTH_SOCK") is named
    error = ended_with(resolve("nix", file, this_user({})), REFUSED)
    assert isinstance(error, LoginRefused)
    assert "common --repo_env=SSH_AUTH_SOCK" in error.render(for_bazel=True)
    assert "repo_env" not in error.render()
