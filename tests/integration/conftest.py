"""Fixtures of the integration tests."""

from __future__ import annotations

from typing import Iterator

import pytest

from lab.lab import Lab
from tests.integration.copier import Copier
from tests.integration.herd import Herd


@pytest.fixture(scope="session")
def copier(lab: Lab, request: pytest.FixtureRequest) -> Copier:
    """The copier on the lab's workstation; see `over_both_transports`."""
    return Copier(lab.workstation, getattr(request, "param", None))


@pytest.fixture(scope="module")
def herd(lab: Lab) -> Herd:
    """Many copiers at a time on the lab's workstation."""
    herd = Herd(lab.workstation)
    herd.install()
    return herd


@pytest.fixture
def agent(herd: Herd) -> Iterator[int]:
    """The process of an agent that runs during the test."""
    with herd.agent_running() as process:
        yield process
