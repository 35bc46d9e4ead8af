"""`nix-remote verify --remote-executor` on Buildbarn, whose runner has only the store."""

from __future__ import annotations

import re
from typing import Any

import pytest

from lab import nix
from lab.lab import ALIAS
from tests.buildbarn.conftest import Observe
from tests.buildbarn.remote import Remote

pytestmark = pytest.mark.timeout(400)


def verify(remote: Remote, path: str, *properties: str) -> dict[str, dict[str, Any]]:
    """By subject, what an action finds."""
    options = [f"--exec-property={each}" for each in properties]
    return {each["subject"]: each for each in remote.look(*options, path)}


@pytest.mark.usefixtures("pod")
def test_the_versions_of_the_api_are_told(remote: Remote) -> None:
    assert re.search(r"; it supports versions 2\.\d+ to 2\.\d+ of the API", remote.versions())


@pytest.mark.usefixtures("pod")
def test_a_shell_of_the_closure_looks(remote: Remote, observe: Observe) -> None:
    observe("the doctor's look")
    workstation = remote.lab.workstation
    bash = nix.build(workstation, ["bash"])["bash"]
    workstation.run(["nix-remote", "copy", "--host", ALIAS, bash]).check()
    found = verify(remote, bash, "OSFamily=linux")
    assert f"ran {bash}/bin/" in found["executor"]["text"]
    assert "node" in found["executor"]["text"]
    assert {found[path]["status"] for path in nix.closure(workstation, bash)} == {"ok"}
    nix.empty_store(remote.lab.server)
    assert verify(remote, bash, "OSFamily=linux")["shell"]["status"] == "broken"


@pytest.mark.usefixtures("pod")
def test_no_pod_has_the_properties(remote: Remote) -> None:
    bash = nix.build(remote.lab.workstation, ["bash"])["bash"]
    found = verify(remote, bash, "OSFamily=plan9")
    assert "No workers exist" in found["executor"]["text"]
    assert "--exec-property" in found["executor"]["fix"]
