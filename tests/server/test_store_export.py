"""The export that the script makes: what it gives out, when it starts, and what it refuses.

The file is named so that it runs after `test_server_script.py`, which needs a machine without it.
"""

from __future__ import annotations

import json
from contextlib import contextmanager
from pathlib import Path
from typing import Iterator

import pytest

from tests.server.conftest import Server

pytestmark = pytest.mark.timeout(600)

STORE = "/nix/store"
EXPORTS = "/etc/exports.d/nix-remote.exports"
READ = {"3": 0, "4.1": 0}
STALE = {"3": 70, "4.1": 70}


@pytest.fixture(scope="module")
def exporting(server: Server) -> Server:
    """The machine, set up."""
    server.set_up().check()
    return server


@pytest.fixture(scope="module")
def secrets(exporting: Server) -> dict[str, int]:
    """Files beside the store, on its file system, by their inodes."""
    exporting.machine.sh(
        """
        install -d -m 700 /root/private /srv/private
        echo note > /root/private/note; chmod 644 /root/private/note
        echo key > /srv/private/key; chmod 600 /srv/private/key; chown -R 1234:1234 /srv/private
        """
    )
    names = ("/etc/passwd", "/etc/shadow", "/root/private/note", "/srv/private/key")
    inodes = exporting.machine.sh(f"stat -c %i {' '.join(names)}").split()
    return dict(zip(names, map(int, inodes)))


def guessed(server: Server, files: dict[str, int], user: int, group: int) -> dict[str, object]:
    """What a client that claims to be that user and group gets for guessed handles of files."""
    workstation = server.lab.workstation
    program = Path(__file__).with_name("forged_handles.py").read_text()
    workstation.write("/tmp/forged_handles.py", program)
    address = server.machine.address
    command = ["python3", "/tmp/forged_handles.py", address, STORE, user, group, *files.values()]
    done = workstation.run([str(each) for each in command], timeout=120).check()
    statuses = json.loads(done.stdout)
    return {name: statuses[str(inode)] for name, inode in files.items()}


def test_guessed_handles_give_no_file_outside_of_the_store(
    exporting: Server, secrets: dict[str, int]
) -> None:
    shadow = int(exporting.machine.sh("getent group shadow | cut -d: -f3"))
    for user, group in ((0, 0), (65534, 65534), (1234, shadow)):
        assert set(map(str, guessed(exporting, secrets, user, group).values())) == {str(STALE)}


def test_with_no_subtree_check_they_give_nearly_every_file(
    exporting: Server, secrets: dict[str, int]
) -> None:
    shadow = int(exporting.machine.sh("getent group shadow | cut -d: -f3"))
    kept = exporting.machine.read(EXPORTS)
    usual = f"{STORE} 10.77.0.0/24(ro,sync,no_subtree_check,root_squash)\n"
    exporting.machine.write(EXPORTS, usual)
    exporting.machine.sh("exportfs -ra; exportfs -f")
    try:
        found = guessed(exporting, secrets, 1234, shadow)
    finally:
        exporting.machine.write(EXPORTS, kept)
        exporting.machine.sh("exportfs -ra; exportfs -f")
    assert found == dict.fromkeys(secrets, READ)


def test_a_server_that_exported_nothing_has_the_short_lease_at_once(exporting: Server) -> None:
    for name in ("nfsv4leasetime", "nfsv4gracetime"):
        assert exporting.machine.read(f"/proc/fs/nfsd/{name}").strip() == "15"


def test_a_server_with_executors_keeps_its_lease_and_the_script_says_so(exporting: Server) -> None:
    settings = "/etc/nfs.conf.d/zz-longer.conf"
    exporting.machine.write(settings, "[nfsd]\nlease-time=90\n")
    exporting.machine.sh("systemctl restart nfs-server.service")
    exporting.machine.sh(f"rm {settings}")
    try:
        again = exporting.set_up().check()
        assert exporting.machine.read("/proc/fs/nfsd/nfsv4leasetime").strip() == "90"
    finally:
        exporting.machine.sh("systemctl restart nfs-server.service")
    assert "the NFS server runs with a lease of 90 s" in again.stderr
    assert "systemctl restart nfs-server.service" in again.stderr


@contextmanager
def over_the_store(server: Server, kind: str) -> Iterator[None]:
    """A file system of that kind instead of the store, as if its own were not mounted."""
    overlay = "-o lowerdir=/run/beside/a:/run/beside/b" if kind == "overlay" else ""
    server.machine.sh(f"mkdir -p /run/beside/a /run/beside/b; mount -t {kind} {overlay} x {STORE}")
    try:
        yield
    finally:
        server.machine.sh(f"umount {STORE}")


def test_an_empty_folder_is_never_exported(exporting: Server) -> None:
    machine = exporting.machine
    machine.sh("systemctl stop nfs-server.service")
    with over_the_store(exporting, "tmpfs"):
        started = machine.run(["systemctl", "start", "nfs-server.service"], timeout=60)
        assert started.status != 0
        assert machine.run(["systemctl", "is-active", "nfs-server.service"]).status != 0
        assert machine.sh("cat /proc/fs/nfsd/threads").strip() == "0"
    machine.sh("systemctl start nfs-server.service")
    assert machine.sh("cat /proc/fs/nfsd/threads").strip() == "32"


@pytest.mark.parametrize(
    ("kind", "problem", "fix"),
    [
        ("tmpfs", "/nix/store is on tmpfs, which can only be exported with an fsid", "--fsid 1"),
        ("overlay", "/nix/store is on an overlay, which cannot be exported", "nfs_export=on"),
    ],
)
def test_what_cannot_be_exported_is_refused_before_a_change(
    exporting: Server, kind: str, problem: str, fix: str
) -> None:
    # Made before the other file system hides the server's own programs, if they are in the store.
    script = exporting.script()
    with over_the_store(exporting, kind):
        refused = exporting.machine.run(["sh"], stdin=script, timeout=120)
    assert refused.status == 1, refused.text
    assert problem in refused.stderr
    assert fix in refused.stderr
    assert refused.stderr.endswith("nothing was changed\n")


@pytest.mark.thorough
def test_an_action_that_reads_waits_for_a_server_that_reboots(exporting: Server) -> None:
    machine = exporting.machine
    path = exporting.new_path("over-a-reboot")
    exporting.copy(path).check()
    executor = exporting.lab.start_kernel_executor("waiting")
    options = "ro,nfsvers=4.2,hard,acdirmin=1,acdirmax=1"
    executor.sh(f"mount -t nfs -o {options} {machine.address}:{STORE} {STORE}; cat {path}")
    machine.power_off()
    reader = executor.popen(["sh", "-c", f"cat {path} {STORE}/absent; [ -s {path} ]"])
    machine.boot()
    assert reader.wait(timeout=120) == 0
    assert machine.read("/proc/fs/nfsd/nfsv4leasetime").strip() == "15"


@pytest.mark.thorough
def test_an_executor_of_a_server_that_was_rebuilt_has_to_mount_again(exporting: Server) -> None:
    machine = exporting.machine
    executor = exporting.lab.start_kernel_executor("stale")
    source = f"{machine.address}:{STORE}"
    line = f"{source} {STORE} nfs ro,nfsvers=4.2,hard 0 0"
    executor.sh(f"echo {line} >> /etc/fstab; mount {STORE}; ls {STORE}")
    doctor = ["nix-remote", "doctor", "--on-executor"]
    program = exporting.lab.workstation.run(doctor).check().stdout
    kept = machine.read(EXPORTS)
    with over_the_store(exporting, "tmpfs"):
        machine.sh(f"mkdir {STORE}/.links")
        machine.write(EXPORTS, kept.replace("subtree_check", "no_subtree_check,fsid=5"))
        machine.sh("exportfs -ra; exportfs -f")
        found = json.loads(executor.run(["python3", "-", "--json"], stdin=program).stdout)
        server = next(each for each in found if each["subject"] == "server")
        executor.sh(server["fix"])
        again = executor.run(["python3", "-", "--json"], stdin=program)
        executor.sh(f"umount {STORE}")
        machine.write(EXPORTS, kept)
        machine.sh("systemctl stop nfs-server.service")
    machine.sh("systemctl start nfs-server.service")
    assert "Stale file handle" in server["text"]
    assert again.status in (0, 1)
    assert {each["subject"]: each["status"] for each in json.loads(again.stdout)}["server"] == "ok"


@pytest.mark.thorough
def test_at_boot_the_nfs_server_waits_for_a_store_that_is_mounted_late(exporting: Server) -> None:
    machine = exporting.machine
    machine.sh("mkdir -p /srv/store/.links /srv/store/late; chmod -R 755 /srv/store")
    mount = "#!/bin/sh\nsleep 8\nmount --bind /srv/store /nix/store\n"
    machine.write("/usr/sbin/mount.late", mount, mode="755")
    machine.write("/etc/fstab", f"x {STORE} late nofail 0 0\n")
    machine.sh("sync")
    machine.power_off()
    try:
        machine.boot()
        seen = machine.sh(f"systemctl is-active nfs-server.service; ls {STORE}").split()
        show = "systemctl show --value --property ActiveEnterTimestampMonotonic"
        times = machine.sh(f"{show} nix-store.mount; {show} nfs-server.service").split()
    finally:
        machine.sh("rm /usr/sbin/mount.late; : > /etc/fstab; sync")
        machine.power_off()
        machine.boot()
    assert seen == ["active", "late"]
    assert int(times[0]) < int(times[1])
