"""What the integration tests share."""

from __future__ import annotations

import pytest

from tests.integration.copier import Copier
from tests.lab.lab import Lab


@pytest.fixture(scope="session")
def copier(lab: Lab) -> Copier:
    """The copier on the lab's workstation."""
    return Copier(lab.workstation)
