"""`doctor` on executors, and `verify`, with really broken mounts."""

from __future__ import annotations

import json
from typing import Any, Iterator

import pytest

from nix_remote.setup import nfs as chosen
from tests.nfs.site import STORE, Site

Finding = dict[str, Any]


@pytest.fixture(scope="module")
def program(site: Site) -> str:
    site.server.sh(f"mkdir -p {STORE}/.links")
    return site.workstation.run(["nix-remote", "doctor", "--on-executor"]).check().stdout


def examine(site: Site, program: str, *paths: str) -> dict[str, Finding]:
    """By subject, what the program finds when it is run as the guide says."""
    done = site.executor.run(["python3", "-", "--json", *paths], stdin=program, timeout=30)
    found: list[Finding] = json.loads(done.stdout)
    assert done.status == (1 if any(each["status"] == "broken" for each in found) else 0)
    assert all(each["fix"] for each in found if each["status"] in ("broken", "warning"))
    return {each["subject"]: each for each in found}


def statuses(found: dict[str, Finding]) -> dict[str, str]:
    return {subject: each["status"] for subject, each in found.items()}


def test_our_mount_has_only_ticks(unmounted: Site, program: str) -> None:
    unmounted.mount(chosen.mount_options())
    found = examine(unmounted, program)
    assert set(statuses(found).values()) == {"ok"}
    assert list(found) == ["store", "read-only", "new paths", "patience", "server"]


def test_no_mount(unmounted: Site, program: str) -> None:
    found = examine(unmounted, program)
    assert statuses(found) == {"store": "broken"}
    assert "nix-remote setup executor" in found["store"]["fix"]


@pytest.mark.parametrize(
    ("options", "subject", "status"),
    [
        ("ro,nfsvers=4.2", "new paths", "broken"),
        ("ro,nfsvers=3", "new paths", "broken"),
        ("ro,nfsvers=4.2,acdirmin=1,acdirmax=3", "new paths", "broken"),
        ("ro,nfsvers=3,acdirmin=1,acdirmax=1", "new paths", "broken"),
        ("ro,nfsvers=4.2,lookupcache=positive", "new paths", "ok"),
        ("ro,nfsvers=4.2,lookupcache=none", "new paths", "ok"),
        ("rw,nfsvers=4.2,lookupcache=positive", "read-only", "broken"),
        ("ro,nfsvers=4.2,lookupcache=positive,soft", "patience", "warning"),
    ],
)
def test_options(unmounted: Site, program: str, options: str, subject: str, status: str) -> None:
    unmounted.mount(options)
    assert statuses(examine(unmounted, program))[subject] == status


def test_something_that_is_no_nix_store(unmounted: Site, program: str) -> None:
    unmounted.executor.sh(f"mount -t tmpfs -o ro tmpfs {STORE}")
    found = examine(unmounted, program)
    assert statuses(found)["server"] == "broken"
    assert "is not a Nix store" in found["server"]["text"]


@pytest.fixture
def silent(unmounted: Site) -> Iterator[Site]:
    """Our mount, of a server that stopped answering."""
    unmounted.mount(chosen.mount_options())
    server, address = unmounted.server, unmounted.executor.address
    server.sh(f"ip route add blackhole {address}/32")
    yield unmounted
    server.sh(f"ip route delete blackhole {address}/32")


def test_a_server_that_does_not_answer(silent: Site, program: str) -> None:
    found = examine(silent, program)
    assert statuses(found)["server"] == "broken"
    assert "no answer within 5 s" in found["server"]["text"]


@pytest.fixture
def paths(unmounted: Site) -> dict[str, str]:
    """Paths that are there in different ways."""
    names = {name: f"{STORE}/{'0' * 32}-{name}" for name in ("good", "folder", "secret", "absent")}
    unmounted.server.sh(
        f"""
        cd {STORE}; rm -rf {names["good"]} {names["folder"]} {names["secret"]}
        echo good > {names["good"]}; mkdir {names["folder"]}; ln -s /nowhere {names["folder"]}/link
        echo secret > {names["secret"]}; chmod 600 {names["secret"]}
        """
    )
    unmounted.mount(chosen.mount_options())
    return names


def test_paths_that_actions_need(unmounted: Site, program: str, paths: dict[str, str]) -> None:
    found = examine(unmounted, program, *paths.values(), "/etc/passwd")
    got = {name: found[path]["status"] for name, path in paths.items()}
    assert got == {"good": "ok", "folder": "ok", "secret": "broken", "absent": "broken"}
    assert f"nix-remote copy {paths['absent']}" in found[paths["absent"]]["fix"]
    assert found["/etc/passwd"]["status"] == "broken"


# What doctor reads on the server: exports, and whether an NFS server serves them.

EXPORTS = "/etc/exports.d/nix-remote.exports"
GOOD = f"{STORE} 10.77.0.0/24({chosen.export_options('')})\n"


@pytest.fixture
def exported(unmounted: Site) -> Iterator[Site]:
    """The site as the script left it; what a test exports instead is undone."""
    server = unmounted.server
    before = server.read(EXPORTS)
    yield unmounted
    server.write(EXPORTS, before)
    server.sh("systemctl start nfs-server; exportfs -ra")


def server_findings(site: Site) -> dict[str, Finding]:
    doctor = ["nix-remote", "doctor", site.server.name, "--json"]
    found = json.loads(site.workstation.run(doctor).stdout)["data"]["findings"]
    return {each["subject"]: each for each in found if each["layer"] == "nfs"}


def test_a_good_export(exported: Site) -> None:
    found = server_findings(exported)
    assert statuses(found) == {"export": "ok", "server": "ok", "timer": "ok"}


def test_a_timer_that_is_not_enabled(exported: Site) -> None:
    timer = "nix-remote-collect.timer"
    exported.server.sh(f"systemctl disable {timer}")
    try:
        found = server_findings(exported)["timer"]
    finally:
        exported.server.sh(f"systemctl enable {timer}")
    assert found["status"] == "warning"
    assert f"systemctl enable --now {timer}" in found["fix"]


@pytest.mark.parametrize(
    ("line", "status"),
    [
        (GOOD.replace("(ro", "(rw"), "broken"),
        (GOOD.replace("10.77.0.0/24", "*"), "warning"),
        (GOOD.replace(STORE, "/nix"), "warning"),
        # An NFS server runs all the same: it may be another one than the kernel's.
        ("# nothing\n", "unknown"),
    ],
)
def test_exports(exported: Site, line: str, status: str) -> None:
    exported.server.write(EXPORTS, line)
    assert statuses(server_findings(exported))["export"] == status


def test_no_nfs_server(exported: Site) -> None:
    exported.server.sh("systemctl stop nfs-server")
    assert statuses(server_findings(exported))["server"] == "broken"
    exported.server.write(EXPORTS, "")
    found = server_findings(exported)
    assert statuses(found)["export"] == "broken"
    assert "--executors" in found["export"]["fix"]
