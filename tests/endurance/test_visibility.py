"""Names that executors look for in vain while they are made: thousands of trials.

Every server with every client. The control, with a settle time that is too short, is in
`tests/nfs/test_trials.py`.
"""

from __future__ import annotations

import json

import pytest

from lab.host import Host
from lab.kernel_host import KernelHost
from lab.kernels import Kernel
from lab.lab import Lab
from nix_remote.settings import DEFAULT_SETTLE
from nix_remote.setup import nfs as chosen
from tests.nfs.servers import SERVERS
from tests.nfs.trials import trials
from tests.nfs.trials.trials import KINDS, Plan

pytestmark = pytest.mark.timeout(3600)

_AT_ONCE = 3
"""Mounts of each kind at a time."""


@pytest.fixture(scope="module", params=SERVERS)
def server(lab: Lab, request: pytest.FixtureRequest) -> Host:
    """A server that exports its store."""
    return SERVERS[request.param](lab)


@pytest.fixture(scope="module", params=Kernel, ids=lambda kernel: f"client {kernel.value}")
def client(lab: Lab, request: pytest.FixtureRequest) -> KernelHost:
    """A machine that mounts it."""
    name = f"looks-{request.param.value}"
    known = lab.hosts.get(name)
    if isinstance(known, KernelHost):
        return known
    return lab.start_kernel_executor(name, kernel=request.param)


def test_every_name_is_seen_when_the_settle_time_has_passed(
    server: Host, client: KernelHost, request: pytest.FixtureRequest
) -> None:
    count, seed = request.config.getoption("--trials"), request.config.getoption("--seed")
    options = chosen.mount_options()
    plans = [
        Plan(kind, options, DEFAULT_SETTLE, -(-count // _AT_ONCE), 1000 * seed + number)
        for number, kind in enumerate(list(KINDS) * _AT_ONCE)
    ]
    with trials.making(server):
        seen = trials.run(server, client, plans, timeout=30 + 10 * count)
    for kind in KINDS:
        of_kind = [each for each in seen if each.plan.kind == kind]
        row = {
            "server": server.name,
            "client": client.name,
            "kind": kind,
            **{
                what: sum(getattr(each, what) for each in of_kind)
                for what in ("trials", "targets", "looks", "invisible")
            },
        }
        print(json.dumps(row), flush=True)
    assert [each for each in seen if each.invisible] == []
