"""A Bazel build of 30 packages with overlapping closures, all already on the server.

The result is the time that a fetch of all packages takes beyond plain rules_nixpkgs without a
server. Needs a checkout of the real rules_nixpkgs: its own remote mode is the rival.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Optional, Sequence

from bench.own_figures import WAYS, Figures, Plan, distance, working
from bench.rig import Rig
from lab import bazel, lab
from lab.lab import Lab
from tests.bazel.observed_python import ObservedPython
from tests.bazel.project import Mode, Package, Project, Rules
from tests.integration.herd import Herd

NAME = "bazel-warm"
_PACKAGES = 30
_PLAIN = "local"
_RIVAL = "rules_nixpkgs"
_KNOWING = "knowing-agent"
"""An agent that already served a build of these packages; `agent` was just started."""


def run(rig: Rig, plan: Plan, running: Lab, rules_nixpkgs: Path) -> Figures:
    """Ratios: added time of each way over what rules_nixpkgs' own mode adds."""
    workstation = rig.workstation
    herd = Herd(workstation)
    herd.install()
    bazel.prepare(workstation, running.service, rules_nixpkgs)
    python = ObservedPython(workstation, "/opt/nix-remote/bin/python")
    ours = Project(bazel.new_workspace(workstation), Mode.BZLMOD, python)
    theirs = Project(bazel.new_workspace(workstation), Mode.BZLMOD, python)
    packages = [_package(number) for number in range(max(int(_PACKAGES * plan.scale), 2))]
    ours.declare(*packages)
    theirs.declare(*packages, rules=Rules.RULES_NIXPKGS)
    figures = Figures(NAME, plan)
    # rules_nixpkgs builds on the server, which needs root there.
    host = lab.alias(rig.server, "root")
    for each in packages:
        rig.send(sorted(ours.store_paths(each)))
    plan.progress("fetching everything for the first time")
    _fetch(ours, packages, rig.alias)
    _fetch(theirs, packages, host)
    _fetch(theirs, packages, None)
    with distance(rig.server, plan.rtt_ms):
        for number in range(plan.runs):
            plan.progress(f"run {number + 1} of {plan.runs}")
            figures.add("seconds", _PLAIN, _fetch(theirs, packages, None))
            figures.add("seconds", _RIVAL, _fetch(theirs, packages, host))
            for way in WAYS:
                logins = rig.ssh_server.logins()
                with working(herd, way):
                    seconds = _fetch(ours, packages, rig.alias, alone=way == "no-agent")
                    if way == "agent":
                        again = _fetch(ours, packages, rig.alias)
                        figures.add("seconds", _KNOWING, again)
                figures.add("seconds", way, seconds)
                figures.add("logins", way, rig.ssh_server.logins() - logins)
    for project in (ours, theirs):
        project.workspace.shut_down()
    plain = figures.median("seconds", _PLAIN)
    rival = figures.median("seconds", _RIVAL) - plain
    for way in (*WAYS, _KNOWING):
        added = figures.median("seconds", way) - plain
        figures.ratios[f"{way.replace('-', '_')}_added_over_rules_nixpkgs_added"] = added / rival
    return figures


def _package(number: int) -> Package:
    """A package that references the store's shell, and so shares its closure with all others."""
    name = f"warm_{number}"
    text = f"mkdir -p $out/bin; echo {name} ${{pkgs.bash}} > $out/bin/{name}"
    return Package(name, f"pkgs.runCommand \"{name}\" {{ }} ''{text}''")


def _fetch(
    project: Project, packages: Sequence[Package], host: Optional[str], *, alone: object = False
) -> float:
    """Seconds for fetching all packages anew, because a Nix file that they come from has changed.

    By force Bazel would fetch the copier's Python anew as well.
    """
    env = {"NIX_REMOTE_AGENT": "off"} if alone else {}
    words = ["fetch", "--loading_phase_threads=8"]
    words += [f"--repo=@{package.name}" for package in packages]
    # With the variables as they will be: whatever that makes Bazel fetch is done.
    project.bazel(*words, host=host, env=env).check()
    file = f"{project.workspace.folder}/nixpkgs.nix"
    project.workspace.host.sh(f"echo '# {time.monotonic_ns()}' >>{file}")
    begun = time.monotonic()
    project.bazel(*words, host=host, env=env).check()
    return time.monotonic() - begun
