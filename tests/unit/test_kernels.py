"""The kernels and the disks of the lab's hosts."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab import images, kernels
from lab.disk import Disk, FileSystem
from lab.host import Host, HostPlan
from lab.kernel_host import Hardware, KernelHost
from lab.kernels import Kernel
from lab.network import Switch
from lab.system_host import SystemHost

DISKS = {"store": Disk(FileSystem.BTRFS, 100), "cache": Disk(None, 10)}


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NIX_REMOTE_LAB_CACHE", str(tmp_path / "cache"))


def built(kernel: Kernel, release: str) -> None:
    (folder,) = (each for each, at in kernels.binds(kernel).items() if at == "/usr/lib/modules")
    (folder / release).mkdir(parents=True)


@pytest.mark.parametrize(
    ("release", "held"), [("6.1.176", True), ("6.1", True), ("6.12.3", False), ("7.2.7", False)]
)
def test_a_kernel_of_another_series_is_noticed(release: str, held: bool) -> None:
    built(Kernel.V6_1, release)
    assert kernels.release(Kernel.V6_1) == release
    assert kernels.is_of_its_series(Kernel.V6_1) is held


def test_each_kernel_is_an_image_of_its_own_that_hosts_see_the_same_way() -> None:
    places = [list(kernels.binds(kernel).values()) for kernel in Kernel]
    assert places == [["/opt/kernel", "/usr/lib/modules"]] * len(Kernel)
    folders = {folder for kernel in Kernel for folder in kernels.binds(kernel)}
    assert len(folders) == 2 * len(Kernel)


def test_only_the_kernel_that_needs_it_is_given_a_library() -> None:
    preloaded = [any("LD_PRELOAD=" in word for word in kernels.command(each)) for each in Kernel]
    assert dict(zip(Kernel, preloaded)) == {Kernel.V6_1: True, Kernel.V7_2: False}


def host(kind: type[KernelHost], folder: Path) -> KernelHost:
    switch = Switch("unit")
    client = Host(HostPlan("client", 1, images.CURRENT), folder, switch)
    return kind(HostPlan("host", 2, images.CURRENT), folder, switch, client, Hardware(disks=DISKS))


def test_disks_are_devices_in_their_order(tmp_path: Path) -> None:
    kernel_host = host(KernelHost, tmp_path)
    assert [kernel_host.device(name) for name in DISKS] == ["/dev/ubda", "/dev/ubdb"]


def test_a_whole_system_has_its_own_disk_first(tmp_path: Path) -> None:
    system = host(SystemHost, tmp_path)
    assert [system.device(name) for name in DISKS] == ["/dev/ubdb", "/dev/ubdc"]
