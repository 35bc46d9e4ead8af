"""The store check of `--remote-executor` as an action, through a real NFS mount."""

from __future__ import annotations

import json
from typing import Any, Iterator

import pytest

from lab import nix, remote_execution
from lab.host import wait_until
from nix_remote.setup import nfs as chosen
from tests.nfs.site import STORE, Site

pytestmark = pytest.mark.timeout(300)

# A pool of its own: the lab's own executor may take actions of other pools.
_POOL = "nfs"


@pytest.fixture(scope="module")
def worker(site: Site) -> Iterator[None]:
    """Takes actions on the machine, which see all of it.

    For each of them, which is a login of its own, the kernel asks the server whether the user has
    access to the store, and learns whether the folder has changed: whatever the mount, such
    actions see new paths. Actions under bubblewrap do not.
    """
    remote_execution.start_worker_with_debian(site.executor, site.lab.service, _POOL)
    yield
    remote_execution.stop_worker_of_pool(site.executor, _POOL)


def look(site: Site, *words: str) -> dict[str, dict[str, Any]]:
    """By subject, what an action on the machine finds."""
    url = f"grpc://{site.lab.service.address}:{remote_execution.PORT}"
    options = ["--json", f"--remote-executor={url}", f"--exec-property=pool={_POOL}"]
    command = ["nix-remote", *words, *options]
    done = site.workstation.run(command, env=site.copier_environment, timeout=90)
    found = json.loads(done.stdout)["data"]["findings"]
    return {each["subject"]: each for each in found if each["layer"] in ("remote", "mount", "path")}


@pytest.mark.usefixtures("worker")
def test_what_is_copied_after_it_was_looked_for_in_vain_is_seen(unmounted: Site) -> None:
    site = unmounted
    site.mount(chosen.mount_options())
    nix.empty_store(site.server)
    hello = nix.build(site.workstation, ["hello"])["hello"]
    assert look(site, "verify", hello)[hello]["status"] == "broken"
    site.copy(hello)
    found = look(site, "verify", hello)
    assert [each for each in found.values() if each["status"] != "ok"] == []
    assert set(nix.closure(site.workstation, hello)) < set(found)
    assert {"store", "read-only", "new paths", "patience"} < set(found)


def of_the_sent_path(found: dict[str, dict[str, Any]]) -> dict[str, Any]:
    (path,) = [each for subject, each in found.items() if subject.endswith("-nix-remote-doctor")]
    return path


@pytest.mark.usefixtures("worker")
def test_the_doctor_looks_again_when_the_settle_time_has_passed(unmounted: Site) -> None:
    unmounted.mount(chosen.mount_options())
    path = of_the_sent_path(look(unmounted, "doctor", unmounted.server.name))
    assert path["status"] == "ok"
    assert "1 s after it became valid, although" in path["text"]


@pytest.mark.usefixtures("worker")
def test_the_doctor_tells_that_the_mount_hides_new_paths(unmounted: Site) -> None:
    unmounted.mount("ro,nfsvers=4.2")
    found = look(unmounted, "doctor", unmounted.server.name)
    assert found["executor"]["status"] == "ok"
    assert found["new paths"]["status"] == "broken"


@pytest.mark.usefixtures("worker")
def test_a_server_that_does_not_answer(unmounted: Site) -> None:
    site = unmounted
    site.mount(chosen.mount_options())
    hello = nix.build(site.workstation, ["hello"])["hello"]
    site.server.sh(f"ip route add blackhole {site.executor.address}/32")
    try:
        found = look(site, "verify", hello, "--remote-timeout=5s")
    finally:
        site.server.sh(f"ip route delete blackhole {site.executor.address}/32")
        # The action that hung lets go of the mount when the server is back.
        umount = ["umount", STORE]
        wait_until(lambda: site.executor.run(umount).status == 0, "its end", timeout=60, interval=1)
    assert "[action-not-finished]" in found["executor"]["text"]
    assert "--on-executor" in found["executor"]["fix"]
