"""Sites for all tests of this folder. They share the executor, which mounts one store at a time."""

from __future__ import annotations

from typing import Iterator

import pytest

from lab.kernel_host import KernelHost
from lab.kernels import Kernel
from lab.lab import Lab
from tests.nfs import site as sites
from tests.nfs.site import Site


@pytest.fixture(scope="session")
def executor(lab: Lab) -> KernelHost:
    """An executor whose kernel is newer than the server's."""
    return lab.start_kernel_executor("nfs-executor", kernel=Kernel.V7_2)


@pytest.fixture(scope="session")
def site(lab: Lab, executor: KernelHost) -> Site:
    """The site with the kernel's NFS server, in the run's lab."""
    return sites.with_kernels_server(lab, "nfs", executor)


@pytest.fixture(scope="session")
def ganesha(lab: Lab, executor: KernelHost) -> Site:
    """The site with nfs-ganesha."""
    return sites.with_ganesha(lab, "ganesha", executor)


@pytest.fixture
def unmounted(site: Site) -> Iterator[Site]:
    """The site with the kernel's server, with nothing mounted before the test and after it."""
    site.unmount()
    yield site
    site.unmount()


@pytest.fixture(params=["site", "ganesha"], ids=["kernel", "ganesha"])
def either(request: pytest.FixtureRequest) -> Iterator[Site]:
    """As `unmounted`, once for each NFS server."""
    site: Site = request.getfixturevalue(request.param)
    site.unmount()
    yield site
    site.unmount()
