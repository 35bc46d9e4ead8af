import socket
from pathlib import Path

import paramiko
import pytest

from nix_remote.errors import ConnectionBroken
from nix_remote.ssh.config import resolve, this_user
from nix_remote.ssh.login import log_in
from nix_remote.ssh.negotiation import Connection


def test_a_connection_that_ended_before_a_key_was_offered_is_broken_and_no_key_refused(
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
        with pytest.raises(ConnectionBroken) as caught:
            log_in(connection, config)
        connection.close()
    assert "while logging in" in caught.value.render()
