from pathlib import Path

import pytest

from nix_remote.errors import SshConfigUnreadable
from nix_remote.ssh.config import match
from tests.unit.ssh.config.entries import resolved


def test_a_command_that_does_not_end_is_bounded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(match, "_EXEC_TIMEOUT", 0.1)
    with pytest.raises(SshConfigUnreadable) as caught:
        resolved(tmp_path, 'Match exec "sleep 60"\n  User eve\n')
    assert "did not end within 0.1 s" in caught.value.why


def test_a_command_that_cannot_change_the_result_is_not_run(tmp_path: Path) -> None:
    resolved(tmp_path, f'Match host other exec "touch {tmp_path}/run"\n  User eve\n')
    assert not (tmp_path / "run").exists()
