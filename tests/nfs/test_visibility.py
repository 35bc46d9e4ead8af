"""When a new path becomes visible through a kernel's NFS client."""

from __future__ import annotations

import pytest

from lab import nix
from nix_remote.setup import nfs as chosen
from tests.nfs import headers
from tests.nfs.site import STORE, Site
from tests.nfs.visibility import seconds_until_visible


def set_up(site: Site, *words: str) -> None:
    """Runs the script of `nix-remote setup executor` on the executor."""
    setup = ["nix-remote", "setup", "executor", f"--server={site.server.address}", *words]
    script = site.workstation.run(setup).check().stdout
    site.executor.run(["sh"], stdin=script).check()


def test_with_our_options_a_path_is_seen_within_the_settle_time(either: Site) -> None:
    either.server.sh(f"mkdir -p {STORE}/.links")
    either.executor.sh(": > /etc/fstab")
    set_up(either, "--way=fstab")
    assert "acdirmin=1,acdirmax=1," in either.executor.sh(f"grep ' {STORE} ' /proc/self/mounts")
    # A busy machine may check late; a negative entry in the lookup cache lasts much longer.
    assert seconds_until_visible(either, at_most=20) < 5


def test_with_a_bound_on_what_is_known_of_folders_it_stays_invisible_no_longer(
    unmounted: Site,
) -> None:
    """So `acdirmax` decides it, whatever the settle time of copies is."""
    unmounted.mount("ro,nfsvers=4.2,acdirmin=6,acdirmax=6")
    assert seconds_until_visible(unmounted, at_most=20) > 1


def test_a_path_that_was_collected_is_seen_when_it_has_been_copied_again(either: Site) -> None:
    site = either
    hello = nix.build(site.workstation, ["hello"])["hello"]
    program = ["cat", f"{hello}/bin/hello"]
    site.copy(hello)
    site.mount(chosen.mount_options())
    site.executor.run(program).check()
    # Like another client: after this, only the server can have cached the path.
    site.unmount()
    nix.empty_store(site.server)
    site.mount(chosen.mount_options())
    assert site.executor.run(program).status != 0
    site.copy(hello)
    site.executor.run(program).check()


@pytest.mark.thorough
@pytest.mark.parametrize("options", ["ro,nfsvers=3", "ro,nfsvers=4.2"])
def test_with_the_usual_options_it_stays_invisible(unmounted: Site, options: str) -> None:
    unmounted.mount(options)
    assert seconds_until_visible(unmounted) > 10


def test_absent_headers_cost_next_to_nothing(unmounted: Site) -> None:
    headers.install(unmounted.server)
    unmounted.mount(chosen.mount_options())
    ours = headers.cost(unmounted).calls_again
    unmounted.mount("ro,nfsvers=4.2,lookupcache=positive")
    assert ours < headers.MISSES / 2 < headers.cost(unmounted).calls_again


def test_the_script_for_executors_can_be_run_again_and_changes_options(unmounted: Site) -> None:
    unmounted.server.sh(f"mkdir -p {STORE}/.links")
    executor = unmounted.executor
    line = f"{unmounted.server.address}:{STORE} {STORE} nfs ro 0 0"
    executor.sh(f"printf '# kept\\n/dev/x / ext4 ro 0 0\\n{line}\\n' > /etc/fstab")
    unmounted.mount("ro")
    for _ in range(2):
        set_up(unmounted, "--way=fstab")
    fstab = executor.read("/etc/fstab")
    assert fstab.startswith("# kept\n/dev/x / ext4 ro 0 0\n")
    assert fstab.count(STORE + " nfs") == 1
    mounts = executor.sh(f"grep -c ' {STORE} ' /proc/self/mounts")
    assert mounts.strip() == "1"
    assert "nosuid,nodev" in executor.sh(f"grep ' {STORE} ' /proc/self/mounts")


def test_a_machine_with_a_store_of_its_own_is_not_hidden(unmounted: Site) -> None:
    executor = unmounted.executor
    executor.sh(f"mkdir -p {STORE}/own")
    try:
        setup = ["nix-remote", "setup", "executor", f"--server={unmounted.server.address}"]
        script = unmounted.workstation.run([*setup, "--way=fstab"]).check().stdout
        refused = executor.run(["sh"], stdin=script)
        assert refused.status == 1
        assert "is not empty" in refused.stderr
    finally:
        executor.sh(f"rmdir {STORE}/own")


def test_nothing_can_be_written(unmounted: Site) -> None:
    """Neither through our mount, nor through one without the option ro."""
    for options in (chosen.mount_options(), "rw,nfsvers=4.2", "rw,nfsvers=3"):
        unmounted.mount(options)
        tried = unmounted.executor.run(["touch", f"{STORE}/x"])
        assert "Read-only file system" in tried.stderr or "Permission denied" in tried.stderr
