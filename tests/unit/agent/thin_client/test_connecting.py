"""The private folder of the socket and the lock."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from nix_remote.agent.thin_client import connecting, framing


def test_the_folder_is_made_and_private(runtime: Path) -> None:
    name = connecting.folder()
    assert name == f"{runtime}/nix-remote"
    assert os.stat(name).st_mode & 0o777 == 0o700


@pytest.mark.parametrize("how", ["open to others", "a link", "a file"])
def test_a_folder_that_another_user_could_have_prepared_is_not_used(
    runtime: Path, how: str
) -> None:
    place = runtime / "nix-remote"
    if how == "open to others":
        place.mkdir()
        place.chmod(0o750)
    elif how == "a link":
        (runtime / "real").mkdir(mode=0o700)
        place.symlink_to("real")
    else:
        place.touch(0o600)
    with pytest.raises(framing.Unusable):
        connecting.folder()


def test_a_runtime_folder_that_is_not_private_is_skipped(
    runtime: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runtime.chmod(0o755)
    assert not connecting.folder().startswith(str(runtime))
