"""The cache of an executor, which `setup executor --cache` sets up, on a real mount."""

from __future__ import annotations

import json

import pytest

from tests.nfs.site import STORE, Site

_FOLDER = f"{STORE}/{'0' * 32}-cached"
_FILES = 20
_READS = (
    "awk '/^device/ { ours = / mounted on .nix.store / } ours && $1 == \"READ:\" { print $2 }'"
    " /proc/self/mountstats"
)


def reads(site: Site) -> int:
    """Reads all files with empty caches; returns the number of READ calls since the mount."""
    site.executor.sh(f"sync; echo 3 >/proc/sys/vm/drop_caches; cat {_FOLDER}/* >/dev/null")
    return int(site.executor.sh(_READS).strip() or 0)


@pytest.mark.thorough
@pytest.mark.timeout(400)
def test_what_was_read_is_not_read_again_after_a_new_mount(unmounted: Site) -> None:
    site, executor = unmounted, unmounted.executor
    site.server.sh(
        f"mkdir -p {STORE}/.links {_FOLDER};"
        f"for n in $(seq {_FILES}); do head -c 200000 /dev/urandom >{_FOLDER}/$n; done"
    )
    setup = f"nix-remote setup executor --server {site.server.address} --way fstab --cache 256M"
    script = site.workstation.sh(setup)
    # Not on the file system of the lab's other machine: a disk is what executors have.
    executor.sh("mount -t tmpfs -o size=300M tmpfs /var/lib")
    try:
        executor.run(["sh"], stdin=script, timeout=200).check()
        assert reads(site) >= _FILES
        again = f"umount {STORE}; mount {STORE}"
        executor.sh(again)
        assert reads(site) == 0
        program = site.workstation.run(["nix-remote", "doctor", "--on-executor"]).check().stdout
        done = executor.run(["python3", "-", "--json"], stdin=program, timeout=60)
        found = {each["subject"]: each for each in json.loads(done.stdout)}
        assert found["cache"]["status"] == "ok", found["cache"]
        # Without the option, the same is read again.
        site.mount("ro,nfsvers=4.2")
        assert reads(site) >= _FILES
    finally:
        executor.sh(
            f"if grep -q ' {STORE} ' /proc/self/mounts; then umount {STORE}; fi;"
            "while pkill -x cachefilesd; do sleep 0.2; done;"
            "umount /var/cache/nix-store; umount /var/lib; : >/etc/fstab"
        )
