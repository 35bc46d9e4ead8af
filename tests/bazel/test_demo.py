"""The demo succeeds, and removes its lab."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from lab import images
from lab.lab import Lab


@pytest.mark.timeout(400)
def test_the_demo_ends_as_told(rules_nixpkgs: Path, lab: Lab) -> None:
    name = f"{lab.folder.name}-demo"
    command = [str(images.REPOSITORY / "tools" / "demo"), "--name", name]
    command += [f"--rules-nixpkgs={rules_nixpkgs}"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=380, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "All as told" in done.stdout
    namespaces = subprocess.run(["ip", "netns"], capture_output=True, text=True, check=True).stdout
    assert f"nrl-{name}-" not in namespaces
    assert not (lab.folder.parent / name).exists()
