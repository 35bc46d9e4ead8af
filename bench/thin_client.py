"""The cost of an invocation if the agent knows the answer, relative to starting Python."""

from __future__ import annotations

import shlex

from bench.own_figures import Figures, Plan, distance, working
from bench.rig import Rig
from lab.content import Shape, make_closure
from tests.integration.herd import LAUNCHER, Herd

NAME = "thin-client"
_AT_ONCE = 20
"""So many, one after the other, are one run: starting something in a host takes time as well."""


def run(rig: Rig, plan: Plan) -> Figures:
    """Ratio: client_over_python_start."""
    herd = Herd(rig.workstation)
    herd.install()
    figures = Figures(NAME, plan)
    top = make_closure(rig.workstation, Shape("thin", paths=int(300 * plan.scale)))[-1]
    command = shlex.join([LAUNCHER, "copy", f"--host={rig.alias}", top])
    contenders = {
        "python": "/opt/nix-remote/bin/python -I -S -c pass",
        "python and sh": "sh -c 'exec /opt/nix-remote/bin/python -I -S -c pass'",
        "client": command,
    }
    with distance(rig.server, plan.rtt_ms), working(herd, "agent"):
        rig.workstation.sh(command)
        for number in range(plan.runs):
            plan.progress(f"run {number + 1} of {plan.runs}")
            for name, words in contenders.items():
                script = f"for each in $(seq {_AT_ONCE}); do {words}; done"
                measured = rig.run(rig.workstation, ["bash", "-c", script])
                figures.add("seconds", name, measured.seconds / _AT_ONCE)
        told = herd.told()
        assert told is not None
        assert told["servers"][0]["copies"] == 1, "the agent had to ask"
    client, python = figures.median("seconds", "client"), figures.median("seconds", "python")
    figures.ratios["client_over_python_start"] = client / python
    return figures
