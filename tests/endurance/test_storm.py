"""The promise in a storm of garbage collections, and that the storm detects broken promises."""

from __future__ import annotations

from typing import Iterator

import pytest

from lab.host import Host
from lab.lab import Lab
from lab.nix import Version
from tests.endurance.storm import Storm, mutant, with_two_sessions
from tests.races import servers

pytestmark = pytest.mark.timeout(7200)


@pytest.mark.parametrize("protocol", ["worker", "serve"])
@pytest.mark.parametrize("version", list(Version), ids=lambda version: str(version.value))
def test_no_path_is_lost(
    lab: Lab, pytestconfig: pytest.Config, version: Version, protocol: str
) -> None:
    sources = ("/src/nix_remote", with_two_sessions(lab.workstation))
    storm = Storm(lab.workstation, lab.server_with(version), protocol, sources)
    copies, seed = pytestconfig.getoption("--copies"), pytestconfig.getoption("--seed")
    found = storm.rage(copies=copies, at_once=3, seed=seed)
    print(f"\n{version.value} {protocol}: {found.copies} copies, {found.sent} paths sent")
    assert found.lost == []
    assert found.failures == []
    assert found.copies == copies
    assert found.sent > copies


@pytest.fixture(scope="module")
def mixed_server(lab: Lab) -> Iterator[Host]:
    lab.workstation_with(Version.CURRENT)
    started = servers.start(lab, "storm")
    yield started
    started.stop()


@pytest.mark.parametrize("protocol", ["worker", "serve"])
@pytest.mark.parametrize("mixture", servers.MIXED, ids=lambda mixture: str(mixture.name))
def test_no_path_is_lost_where_versions_differ(
    lab: Lab,
    mixed_server: Host,
    pytestconfig: pytest.Config,
    mixture: servers.Mixture,
    protocol: str,
) -> None:
    servers.use(mixed_server, mixture)
    sources = ("/src/nix_remote", with_two_sessions(lab.workstation))
    collector = servers.program(mixture.collector, "nix-store")
    storm = Storm(lab.workstation, mixed_server, protocol, sources, collector)
    copies, seed = pytestconfig.getoption("--copies"), pytestconfig.getoption("--seed")
    found = storm.rage(copies=copies, at_once=3, seed=seed)
    print(f"\n{mixture.name} {protocol}: {found.copies} copies, {found.sent} paths sent")
    assert found.lost == []
    assert found.failures == []
    assert found.sent > copies


MUTANTS = {
    "without-barrier": (
        "server/stores/worker.py",
        "barrier = self._session.submit(worker.CollectGarbage())",
        "barrier = self._session.submit(worker.QueryValidPaths(()))",
    ),
    "without-roots": (
        "server/stores/worker.py",
        "self._session.submit(worker.AddPermRoot(root.path, root.location))",
        "self._session.submit(worker.QueryValidPaths(()))",
    ),
}


@pytest.mark.parametrize("name", list(MUTANTS))
def test_the_storm_finds_a_copier_that_leaves_out_a_step(
    lab: Lab, pytestconfig: pytest.Config, name: str
) -> None:
    sources = mutant(lab.workstation, name, *MUTANTS[name])
    storm = Storm(lab.workstation, lab.server, "worker", (sources,))
    for seed in range(10):
        found = storm.rage(copies=pytestconfig.getoption("--copies"), at_once=3, seed=seed)
        print(f"\n{name}, seed {seed}: {len(found.lost)} paths lost in {found.copies} copies")
        if found.lost:
            return
    pytest.fail("nothing was lost: the storm is too weak to prove anything")
