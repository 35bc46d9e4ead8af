"""A set-up made by hand, as one finds it everywhere: `/etc/exports`, and `ro,nfsvers=3` in fstab.

What it gives, and what doctor says of it on both machines.
"""

from __future__ import annotations

import json
from typing import Any, Iterator

import pytest

from tests.nfs.site import STORE, Site
from tests.nfs.visibility import seconds_until_visible

GENERATED = "/etc/exports.d/nix-remote.exports"


@pytest.fixture
def by_hand(unmounted: Site) -> Iterator[Site]:
    """The site without what the scripts wrote about NFS, and with lines written by hand."""
    server, executor = unmounted.server, unmounted.executor
    generated, exports = server.read(GENERATED), server.read("/etc/exports")
    server.sh(f"rm {GENERATED}; echo '{STORE} *(ro)' > /etc/exports; exportfs -ra")
    executor.sh(
        f"echo '{server.address}:{STORE} {STORE} nfs ro,nfsvers=3 0 0' > /etc/fstab; mount {STORE}"
    )
    yield unmounted
    executor.sh(f"umount {STORE}; : > /etc/fstab")
    server.write(GENERATED, generated)
    server.write("/etc/exports", exports)
    server.sh("exportfs -ra")


def statuses(findings: list[dict[str, Any]]) -> dict[str, str]:
    return {each["subject"]: each["status"] for each in findings}


def test_the_doctor_on_the_executor_finds_that_it_hides_new_paths(by_hand: Site) -> None:
    program = by_hand.workstation.run(["nix-remote", "doctor", "--on-executor"]).check().stdout
    looked = by_hand.executor.run(["python3", "-", "--json"], stdin=program)
    found = json.loads(looked.stdout)
    assert looked.status == 1
    assert statuses(found)["new paths"] == "broken"
    (fix,) = (each["fix"] for each in found if each["subject"] == "new paths")
    assert "remount" in fix or "mount" in fix


def test_the_doctor_finds_the_export_open_to_every_host(by_hand: Site) -> None:
    doctor = ["nix-remote", "doctor", by_hand.server.name, "--json"]
    looked = json.loads(by_hand.workstation.run(doctor).stdout)["data"]["findings"]
    nfs = [each for each in looked if each["layer"] == "nfs"]
    assert statuses(nfs) == {"export": "warning", "server": "ok", "timer": "ok"}


@pytest.mark.thorough
def test_a_path_that_was_looked_for_in_vain_stays_invisible(by_hand: Site) -> None:
    assert 10 < seconds_until_visible(by_hand) < 60
