"""A copy beside a collector: all points, steps, orders and mixtures of versions."""

from __future__ import annotations

import random
from typing import Iterator

import pytest

from lab.host import Host
from lab.lab import Lab
from lab.nix import Version
from tests.races import servers
from tests.races.race import Races, product

pytestmark = pytest.mark.timeout(7200)


@pytest.fixture(scope="module")
def server(lab: Lab) -> Iterator[Host]:
    lab.workstation_with(Version.CURRENT)
    started = servers.start(lab, "races")
    yield started
    started.stop()


@pytest.mark.parametrize(
    ("account", "protocol"), [("copier", "worker"), ("root", "worker"), ("copier", "serve")]
)
@pytest.mark.parametrize("mixture", servers.ALL, ids=lambda mixture: str(mixture.name))
def test_no_order_of_a_copy_and_a_collection_loses_a_path(
    lab: Lab,
    server: Host,
    pytestconfig: pytest.Config,
    mixture: servers.Mixture,
    account: str,
    protocol: str,
) -> None:
    races = Races(lab.workstation, server, mixture)
    cases = list(product())
    chosen = pytestconfig.getoption("--races")
    if chosen:
        chance = random.Random(f"{pytestconfig.getoption('--seed')} {mixture} {account} {protocol}")
        cases = chance.sample(cases, chosen)
    verdicts = [races.run(case, account=account, protocol=protocol) for case in cases]
    print(f"\n{mixture.name} {account} {protocol}: {len(verdicts)} races")
    wrong = [f"{each.case}: lost {each.lost}\n{each.text}" for each in verdicts if not each.kept]
    assert not wrong, "\n".join(wrong)
