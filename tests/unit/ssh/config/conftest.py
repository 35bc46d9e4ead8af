"""The tests of the SSH config never read this machine's own system config."""

from pathlib import Path

import pytest

from nix_remote.ssh.config import files


@pytest.fixture(autouse=True)
def system_config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The system config, which does not exist until a test writes it."""
    system = tmp_path / "system_config"
    monkeypatch.setattr(files, "SYSTEM_CONFIG", system)
    return system
