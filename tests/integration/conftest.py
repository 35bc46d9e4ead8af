"""What the integration tests share."""

from __future__ import annotations

import pytest

from lab.lab import Lab
from tests.integration.copier import Copier


@pytest.fixture(scope="session")
def copier(lab: Lab, request: pytest.FixtureRequest) -> Copier:
    """The copier on the lab's workstation; see `over_both_transports`."""
    return Copier(lab.workstation, getattr(request, "param", None))
