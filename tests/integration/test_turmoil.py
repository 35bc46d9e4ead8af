"""Short versions of the tests of `tools/test endurance`."""

from __future__ import annotations

import pytest

from lab.lab import Lab
from tests.endurance.faults import Trials
from tests.endurance.storm import Storm, with_two_sessions

pytestmark = pytest.mark.timeout(300)


@pytest.fixture
def protocol(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


_ONE_IS_ENOUGH = pytest.mark.parametrize(
    "protocol", ["worker", pytest.param("serve", marks=pytest.mark.thorough)], indirect=True
)


@_ONE_IS_ENOUGH
def test_nothing_is_lost_while_garbage_is_collected_all_the_time(lab: Lab, protocol: str) -> None:
    sources = ("/src/nix_remote", with_two_sessions(lab.workstation))
    storm = Storm(lab.workstation, lab.server, protocol, sources)
    found = storm.rage(copies=12, at_once=3, seed=7)
    assert found.lost == []
    assert found.failures == []
    assert found.sent > found.copies


@_ONE_IS_ENOUGH
def test_connections_cut_anywhere_leave_nothing_half_done(lab: Lab, protocol: str) -> None:
    found = Trials(lab.workstation, lab.server, protocol, seed=7).cut(8, at_once=4)
    assert not found.wrong, "\n".join(found.wrong)
    assert found.struck > 4


@_ONE_IS_ENOUGH
def test_servers_killed_at_any_moment_leave_nothing_half_done(lab: Lab, protocol: str) -> None:
    found = Trials(lab.workstation, lab.server, protocol, seed=7).kill(6)
    assert not found.wrong, "\n".join(found.wrong)
    assert found.struck > 0
