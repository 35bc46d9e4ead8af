"""When a copy ends: once executors see its paths, and no later.

All hosts of a lab have the same clock.
"""

from __future__ import annotations

import itertools
import time

import pytest

from lab.host import Host
from lab.lab import Lab
from tests.integration.copier import Copier, new_closure, over_both_transports
from tests.integration.herd import Herd

pytestmark = pytest.mark.timeout(120)

SETTLE = 2.5
ALONE = ("--no-agent", "-v", f"--settle={SETTLE}")
_WAITS = "waiting until executors see new paths"
_numbers = itertools.count(1)


def age(server: Host, path: str) -> float:
    """Seconds since the server's Nix has unpacked a path, which becomes valid after that."""
    unpacked = server.sh(f"stat -c %.Z {path}")
    return time.time() - float(unpacked)


def new_path(lab: Lab) -> str:
    """A path that has never been on the server, and refers to nothing."""
    name = f"/tmp/settling-{next(_numbers)}-{time.time_ns()}"
    return lab.workstation.sh(f"echo {name} >{name}; nix-store --add {name}").strip()


@over_both_transports
def test_a_copy_of_a_new_path_ends_when_the_settle_time_has_passed(
    lab: Lab, copier: Copier
) -> None:
    path = new_closure(lab.workstation)[-1]
    said = copier.run(*ALONE, path).check().stderr
    assert age(lab.server, path) >= SETTLE
    assert _WAITS in said


@over_both_transports
def test_nothing_is_waited_for_if_nothing_is_new(lab: Lab, copier: Copier) -> None:
    path = new_path(lab)
    copier.run(*ALONE, path).check()
    said = copier.run("--no-agent", "-v", "--settle=1", path).check().stderr
    assert _WAITS not in said


def test_a_path_that_another_copy_has_just_sent_is_new(lab: Lab, copier: Copier) -> None:
    path = new_path(lab)
    copier.run("--no-agent", "--settle=0", path).check()
    assert age(lab.server, path) < SETTLE, "the machine is too slow for this test"
    said = copier.run(*ALONE, path).check().stderr
    assert "registered" not in said
    assert _WAITS in said
    assert age(lab.server, path) >= SETTLE


def test_without_the_servers_times_a_valid_path_counts_as_new(lab: Lab, copier: Copier) -> None:
    """The serve protocol does not have them."""
    path = new_path(lab)
    copier.run(*ALONE, path).check()
    env = {"NIX_REMOTE_PROTOCOL": "serve"}
    said = copier.run("--no-agent", "-v", "--settle=6", path, env=env).check().stderr
    assert _WAITS in said


def test_an_agent_answers_no_earlier_for_a_path_that_it_knows(
    lab: Lab, herd: Herd, agent: int
) -> None:
    path = new_path(lab)
    herd.copy("--settle=0", path).check()
    assert age(lab.server, path) < SETTLE, "the machine is too slow for this test"
    said = herd.copy("-v", f"--settle={SETTLE}", path).check().stderr
    told = herd.told()
    assert told is not None
    # The second one was answered without a question to the server.
    assert [each["copies"] for each in told["servers"]] == [1]
    assert _WAITS in said
    assert age(lab.server, path) >= SETTLE
    assert _WAITS not in herd.copy("-v", "--settle=1", path).check().stderr


def test_an_agent_copies_for_others_while_one_waits(lab: Lab, herd: Herd, agent: int) -> None:
    first, second = new_path(lab), new_path(lab)
    waiting = herd.start("-v", "--settle=10", first)
    assert waiting.stdout is not None
    for line in waiting.stdout:
        if _WAITS.encode() in line:
            break
    herd.copy("--settle=0", second).check()
    assert waiting.poll() is None, "the second copy had to wait for the first one"
    waiting.kill()
    waiting.communicate()


def test_a_lead_and_the_copies_that_it_serves_wait_together(lab: Lab, herd: Herd) -> None:
    paths = [new_path(lab) for _ in range(6)]
    begun = time.monotonic()
    herd.copy_all(paths, "--settle=10")
    took = time.monotonic() - begun
    assert all(age(lab.server, path) >= 10 for path in paths)
    assert took < 20, "they waited one after the other"
