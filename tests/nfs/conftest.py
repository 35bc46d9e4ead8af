"""A site for all tests of this folder."""

from __future__ import annotations

from typing import Iterator

import pytest

from lab.lab import Lab
from tests.nfs import site as sites
from tests.nfs.site import Site


@pytest.fixture(scope="session")
def site(lab: Lab) -> Site:
    """A server that exports its store, and a machine with a kernel of its own, in the run's lab."""
    return sites.start(lab, "nfs")


@pytest.fixture
def unmounted(site: Site) -> Iterator[Site]:
    """The site with nothing mounted, before the test and after it."""
    site.unmount()
    yield site
    site.unmount()
