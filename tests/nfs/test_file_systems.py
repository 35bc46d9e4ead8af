"""The store on each file system, exported by the kernel's NFS server.

ext4 is that of the site itself. The others are on a disk of another server, which the script of
`setup server` finds as it is.
"""

from __future__ import annotations

from typing import Final, Iterator

import pytest

from lab import nix
from lab.disk import Disk, FileSystem
from lab.kernel_host import KernelHost
from lab.lab import Lab
from lab.system_host import SystemHost
from nix_remote.setup import nfs as chosen
from tests.nfs import site as sites
from tests.nfs.site import STORE, Site
from tests.nfs.visibility import seconds_until_visible

pytestmark = pytest.mark.timeout(400)

_BTRFS: Final = """
systemctl stop nix-daemon.socket nix-daemon.service
mount {disk} /mnt
cp -a /nix/. /mnt/
umount /mnt
mount {disk} /nix
systemctl start nix-daemon.socket
"""

# Without these two options, the kernel's server does not export an overlay.
_OVERLAY: Final = f"""
systemctl stop nix-daemon.socket nix-daemon.service
mount {{disk}} /mnt
mkdir /mnt/upper /mnt/work
cp -a {STORE} /mnt/lower
mount -t overlay overlay {STORE} \
    -o lowerdir=/mnt/lower,upperdir=/mnt/upper,workdir=/mnt/work,index=on,nfs_export=on
systemctl start nix-daemon.socket
"""


def on_a_disk(
    lab: Lab, executor: KernelHost, name: str, disk: Disk, script: str, *words: str
) -> tuple[SystemHost, Site]:
    """A server whose store the script moves to the disk, and then the script of `setup server`."""
    server = lab.start_system_server(name, disks={"store": disk})
    server.sh("nix-store --init")
    server.sh(script.format(disk=server.device("store")))
    return server, sites.of_system(lab, server, executor, *words)


@pytest.fixture
def btrfs(lab: Lab, executor: KernelHost) -> Iterator[Site]:
    disk = Disk(FileSystem.BTRFS, 1000)
    server, site = on_a_disk(lab, executor, "btrfs-server", disk, _BTRFS)
    yield site
    site.unmount()
    server.stop()


@pytest.fixture
def overlay(lab: Lab, executor: KernelHost) -> Iterator[Site]:
    disk = Disk(FileSystem.EXT4, 1000)
    server, site = on_a_disk(lab, executor, "overlay-server", disk, _OVERLAY, "--fsid", "1")
    yield site
    site.unmount()
    server.stop()


def seen_and_run(site: Site, file_system: str) -> None:
    """New paths are seen as they should be, and a program that was copied runs."""
    assert site.server.sh(f"stat -f -c %T {STORE}").split()[0].startswith(file_system)
    site.mount(chosen.mount_options())
    assert seconds_until_visible(site, at_most=20) < 5
    hello = nix.build(site.workstation, ["hello"])["hello"]
    program = [f"{hello}/bin/hello"]
    assert site.executor.run(program).status != 0
    site.copy(hello)
    assert "Hello, world!" in site.executor.run(program).check().stdout


def test_ext4(unmounted: Site) -> None:
    nix.empty_store(unmounted.server)
    seen_and_run(unmounted, "ext")


@pytest.mark.thorough
def test_btrfs(btrfs: Site) -> None:
    seen_and_run(btrfs, "btrfs")


@pytest.mark.thorough
def test_overlay(overlay: Site) -> None:
    seen_and_run(overlay, "overlay")
