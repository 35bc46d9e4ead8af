"""Large copies go through several sessions of one connection, where the server allows it."""

from __future__ import annotations

import pytest

from lab import nix
from lab.lab import Lab
from tests.conftest import AddEntry
from tests.integration.copier import (
    Copier,
    assert_kept_whole,
    new_closure,
    over_openssh_if_thorough,
)
from tests.integration.ssh_entries import leading_to, ssh_server


def sessions(lab: Lab) -> int:
    """How many have been opened so far."""
    return lab.server.log("sshd-2331").count("Starting session: command for copier")


@over_openssh_if_thorough
@pytest.mark.parametrize(
    # The home folder is asked for by a command. Over the serve protocol each root is made, the
    # collector waited for, and the roots found, by a command; and the look has its own session.
    ("protocol", "allowed", "started"),
    [("worker", 10, 2 + 1), ("worker", 1, 1), ("serve", 10, 2 + 1 + 4 + 1)],
)
def test_two_large_paths_use_the_sessions_that_the_server_allows(
    lab: Lab, copier: Copier, entry: AddEntry, protocol: str, allowed: int, started: int
) -> None:
    one, two = (new_closure(lab.workstation, megabytes=20) for _ in range(2))
    with ssh_server(lab.server, 2331, f"MaxSessions {allowed}") as server:
        alias = entry("several", *leading_to(server))
        env = {"NIX_REMOTE_PROTOCOL": protocol}
        before = sessions(lab)
        outcome = copier.run("-v", one[-1], two[-1], alias=alias, env=env).check()
        assert sessions(lab) - before == started
    assert "trying again" not in outcome.stderr
    nix.collect_garbage(lab.server)
    assert_kept_whole(lab.server, lab.workstation, one + two)
