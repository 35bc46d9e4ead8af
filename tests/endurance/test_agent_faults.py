"""Faults of an agent and of the copiers that share it, many times each.

./tools/test endurance -k agent_faults --faults 50
"""

from __future__ import annotations

import pytest

from lab.lab import Lab
from tests.endurance.agent_faults import FAULTS, strike
from tests.integration.herd import Herd

pytestmark = pytest.mark.timeout(14400)


@pytest.mark.parametrize("name", FAULTS)
def test_a_herd_survives(lab: Lab, pytestconfig: pytest.Config, name: str) -> None:
    herd = Herd(lab.workstation)
    herd.install()
    count, seed = pytestconfig.getoption("--faults"), pytestconfig.getoption("--seed")
    found = strike(lab, herd, name, count=count, seed=seed)
    print(f"\n{name}: {found.trials} herds, {found.struck} struck; {found.failed} copiers failed")
    assert not found.wrong, "\n".join(found.wrong)
