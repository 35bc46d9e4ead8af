"""Options for the length of the long tests, and the copier that they use."""

from __future__ import annotations

import pytest

from lab.lab import Lab
from tests.integration.copier import Copier


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--copies", type=int, default=300, help="copies per storm (300)")
    parser.addoption("--cuts", type=int, default=300, help="connections cut per protocol (300)")
    parser.addoption("--kills", type=int, default=50, help="servers killed per protocol (50)")
    parser.addoption("--seed", type=int, default=1, help="the seed of random choices (1)")
    parser.addoption("--faults", type=int, default=50, help="herds per fault of the agent (50)")
    parser.addoption("--trials", type=int, default=100, help="of visibility, per kind (100)")
    parser.addoption("--races", type=int, default=0, help="races per server and account (all)")


@pytest.fixture(scope="session")
def copier(lab: Lab) -> Copier:
    """The copier on the lab's workstation."""
    return Copier(lab.workstation)
