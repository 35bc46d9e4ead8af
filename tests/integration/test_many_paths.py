"""Copies of many small paths through a daemon's proxy that has one thread for both directions.

That is `nix-daemon --stdio` for an ordinary account up to Nix 2.19. It stops forever when too
much is unanswered in either direction.
"""

from __future__ import annotations

import pytest

from lab import content, nix
from lab.lab import Lab, alias
from tests.integration.copier import Copier, over_openssh_if_thorough

pytestmark = pytest.mark.timeout(300)

_ENVIRONMENT = {
    "NIX_REMOTE_AGENT": "off",
    "NIX_REMOTE_PROTOCOL": "worker",
    "NIX_REMOTE_STALL_TIMEOUT": "20",
}


@over_openssh_if_thorough
@pytest.mark.parametrize("count", [3000, pytest.param(10_000, marks=pytest.mark.thorough)])
def test_uploads_temporary_roots_and_queries_of_many_paths_never_stall(
    lab: Lab, copier: Copier, count: int
) -> None:
    server = lab.server_with(nix.Version.V2_8)
    host = alias(server)
    name = f"star-{copier.transport}-{count}"
    first, second = content.make_stars(lab.workstation, name, count, tops=2)
    # Uploads: the leaves and a path with that many references.
    copier.run(first, alias=host, env=_ENVIRONMENT, timeout=120).check()
    # Queries, and a temporary root for each leaf: the second top is missing.
    copier.run("--check=contents", second, alias=host, env=_ENVIRONMENT, timeout=120).check()
    nix.collect_garbage(server)
    nix.verify(server, [first, second])
