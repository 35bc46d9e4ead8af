"""Resolves SSH config texts for a user with a home folder of the test's own."""

from pathlib import Path

from nix_remote.ssh.config.host_config import HostConfig
from nix_remote.ssh.config.resolve import resolve, this_user
from nix_remote.ssh.config.tokens import LocalUser


def ada(home: Path, **environment: str) -> LocalUser:
    uid = this_user({}).uid
    return LocalUser("ada", uid, str(home), "desk.example.org", environment)


def resolved(tmp_path: Path, text: str, alias: str = "nix", **environment: str) -> HostConfig:
    file = tmp_path / "config"
    file.write_text(text)
    return resolve(alias, file, ada(tmp_path, **environment))
