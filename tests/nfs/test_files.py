"""Generated files, read by the programs that they are for: exportfs, systemd, a YAML parser."""

from __future__ import annotations

import pytest
import yaml

from lab import nfs, nix, sshd
from lab.host import Host
from tests.golden.setup_files import BUNDLES
from tests.nfs.site import Site


@pytest.fixture(scope="module")
def server(ganesha: Site) -> Host:
    """A server after the script of `setup server`, for a file system without a UUID."""
    site = ganesha
    sshd.public_key(site.workstation)
    script = site.workstation.sh(
        "nix-remote setup server --public-key ~/.ssh/id_ed25519.pub --account files"
        " --executors 10.77.0.0/24 --executors fd00::/8 --fsid 1"
    )
    nfs.hide_overlay(site.server)
    site.server.run(["sh"], stdin=script).check()
    site.server.stop_service("nix-daemon")
    nix.start_daemon(site.server)
    return site.server


def test_the_export_is_as_exportfs_understands_it(server: Host) -> None:
    server.sh("exportfs -ra")
    lines = server.sh("exportfs -s").splitlines()
    assert [line.split("(")[0].split() for line in lines] == [
        ["/nix/store", "10.77.0.0/24"],
        ["/nix/store", "fd00::/8"],
    ]
    for line in lines:
        options = line.partition("(")[2].rstrip(")").split(",")
        assert {"ro", "sync", "no_subtree_check", "all_squash", "fsid=1"} <= set(options)


def test_exportfs_would_find_a_mistake(server: Host) -> None:
    server.write("/etc/exports.d/wrong.exports", "/nix/store 10.0.0.0/8(ro,read_mostly)\n")
    try:
        assert server.run(["exportfs", "-ra"]).status != 0
    finally:
        server.sh("rm /etc/exports.d/wrong.exports; exportfs -ra")


def test_the_timer_is_one_that_systemd_takes_and_is_enabled(server: Host) -> None:
    units = "/etc/systemd/system/nix-remote-collect"
    server.sh(f"systemd-analyze verify {units}.service {units}.timer")
    state = server.run(["systemctl", "is-enabled", "nix-remote-collect.timer"])
    assert state.stdout.strip() == "enabled"


def test_the_mount_unit_is_one_that_systemd_takes(site: Site, server: Host) -> None:
    site.workstation.sh("nix-remote setup executor --server nix.example.org --out /tmp/executor")
    unit = site.workstation.read("/tmp/executor/etc/systemd/system/nix-store.mount")
    place = "/etc/systemd/system/nix-store.mount"
    try:
        server.write(place, unit)
        server.sh(f"systemd-analyze verify {place}")
        # Under a name that is not that of the folder it would not be taken.
        server.write(place, unit.replace("Where=/nix/store", "Where=/nix/other"))
        assert server.run(["systemd-analyze", "verify", place]).status != 0
    finally:
        server.sh(f"rm -f {place}")


def test_nfsd_reads_how_many_threads_it_is_to_have(server: Host) -> None:
    assert server.sh("nfsconf --get nfsd threads").strip() == "32"


def test_cloud_init_gets_the_mount_unit_as_it_is() -> None:
    (user_data,) = BUNDLES["executor-cloud-init"].files
    assert user_data.text.startswith("#cloud-config\n")
    said = yaml.safe_load(user_data.text)
    assert set(said) == {"packages", "write_files", "runcmd"}
    (file,) = said["write_files"]
    (unit,) = BUNDLES["executor-systemd"].files
    assert (file["path"], file["content"]) == (unit.path, unit.text)
    assert int(file["permissions"], 8) == unit.mode
