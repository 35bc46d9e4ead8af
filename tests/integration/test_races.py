"""A selection of what `tools/test endurance -k races` runs: a copy and a collector, each held."""

from __future__ import annotations

import subprocess
from typing import Iterator

import pytest

from lab import nix
from lab.content import Shape, make_closure
from lab.host import Host, wait_until
from lab.lab import Lab
from tests.integration.invalidation import INVALIDATE
from tests.races import servers
from tests.races.collector import Point
from tests.races.held_copier import FOLDER, REACHED, RELEASED, Step
from tests.races.mutants import MUTANTS
from tests.races.race import Case, Races, Side, There
from tests.races.servers import CURRENT, GREETS_2_35, LIKE_2_36, V2_8, Mixture

pytestmark = pytest.mark.timeout(300)

_SAME = Mixture(CURRENT, CURRENT, CURRENT)
_GREETS = Mixture(GREETS_2_35, CURRENT, CURRENT)
_REMEMBERS = Mixture(LIKE_2_36, CURRENT, CURRENT)
_OLD = Mixture(V2_8, V2_8, V2_8)

# The collector has condemned the closure before the copy begins, and deletes it at the end.
_CONDEMNED = Case(Step.ROOTS, Point.DELETION, first=Side.COLLECTOR)
# It has read the durable roots before there is one, and reads the temporary ones at the end.
_BETWEEN_ROOTS = Case(Step.ROOTS, Point.TEMPORARY_ROOTS)
_QUEUED = Case(Step.ROOTS, Point.TEMPORARY_ROOTS, queued=True)
# It deletes a part of what is there while the rest is sent.
_HALF = Case(Step.SEND, Point.STORE, There.HALF)
_WHOLE = Case(Step.END, Point.END)


@pytest.fixture(scope="module")
def server(lab: Lab) -> Iterator[Host]:
    started = servers.start(lab, "races")
    yield started
    started.stop()


@pytest.mark.parametrize(
    ("mixture", "cases"),
    [
        pytest.param(_GREETS, [(_CONDEMNED, "worker"), (_CONDEMNED, "serve")], id="greets-2.35"),
        pytest.param(_REMEMBERS, [(_BETWEEN_ROOTS, "worker"), (_QUEUED, "worker")], id="like-2.36"),
        pytest.param(_OLD, [(_CONDEMNED, "worker"), (_HALF, "serve")], id="2.8"),
    ],
)
def test_nothing_is_lost_to_a_collector_that_is_held_at_a_bad_moment(
    lab: Lab, server: Host, mixture: Mixture, cases: list[tuple[Case, str]]
) -> None:
    races = Races(lab.workstation, server, mixture)
    for case, protocol in cases:
        verdict = races.run(case, protocol=protocol)
        assert verdict.kept, verdict


_FOUND_BY = {
    "without-barrier": (_SAME, _CONDEMNED),
    "look-before-barrier": (_SAME, _CONDEMNED),
    "without-roots": (_SAME, _WHOLE),
    "barrier-before-roots": (_REMEMBERS, _BETWEEN_ROOTS),
    "trusting-the-greeting": (_GREETS, _CONDEMNED),
}


@pytest.mark.parametrize("mutant", list(MUTANTS))
def test_a_copier_that_leaves_out_a_step_loses_paths(lab: Lab, server: Host, mutant: str) -> None:
    mixture, case = _FOUND_BY[mutant]
    verdict = Races(lab.workstation, server, mixture).run(case, mutant=mutant)
    assert verdict.status == 0
    assert verdict.lost


@pytest.mark.parametrize("protocol", ["worker", "serve"])
def test_a_path_that_has_gone_again_is_sent_again(lab: Lab, server: Host, protocol: str) -> None:
    # Root's session opens the store itself, and over the serve protocol remembers what it has
    # added: neither the last look nor the next round may ask it.
    servers.use(server, _SAME)
    paths = make_closure(lab.workstation, Shape(f"fresh-{protocol}", paths=2))
    command = ["/opt/nix-remote/bin/python", "-m", "tests.races.held_copier", "barrier", "none"]
    command += ["copy", "--no-agent", "-v", f"--host={server.name}-root", paths[-1]]
    lab.workstation.sh(f"mkdir -p {FOLDER}; rm -f {REACHED} {RELEASED}")
    env = {"NIX_REMOTE_PROTOCOL": protocol, "PYTHONPATH": "/src/nix_remote"}
    env["PYTHONPYCACHEPREFIX"] = "/tmp/bytecode"
    with lab.workstation.popen(command, env=env, stderr=subprocess.PIPE) as copier:
        wait_until(lambda: lab.workstation.run(["test", "-e", REACHED]).status == 0, "the barrier")
        server.run(["python3", "-c", INVALIDATE, paths[-1]]).check()
        lab.workstation.sh(f"touch {RELEASED}")
        _, errors = copier.communicate(timeout=60)
    assert copier.returncode == 0, errors
    assert nix.is_valid(server, paths[-1])
