"""Connections cut at any byte, servers killed at any moment."""

from __future__ import annotations

import pytest

from lab.lab import Lab
from tests.endurance.faults import Trials

pytestmark = pytest.mark.timeout(7200)


@pytest.fixture(params=["worker", "serve"])
def trials(lab: Lab, pytestconfig: pytest.Config, request: pytest.FixtureRequest) -> Trials:
    seed = pytestconfig.getoption("--seed")
    return Trials(lab.workstation, lab.server, request.param, seed)


def test_a_connection_cut_at_any_byte(trials: Trials, pytestconfig: pytest.Config) -> None:
    found = trials.cut(pytestconfig.getoption("--cuts"), at_once=4)
    print(
        f"\n{trials.protocol}: {found.trials} connections, {found.struck} cut in time: "
        f"{found.healed} copies healed, {found.failed} failed"
    )
    assert not found.wrong, "\n".join(found.wrong)
    assert found.struck > found.trials * 0.8


def test_a_server_killed_at_any_moment(trials: Trials, pytestconfig: pytest.Config) -> None:
    found = trials.kill(pytestconfig.getoption("--kills"))
    print(
        f"\n{trials.protocol}: {found.trials} copies, {found.struck} struck: {found.healed} healed"
    )
    assert not found.wrong, "\n".join(found.wrong)
    assert found.struck > found.trials * 0.2
