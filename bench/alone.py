"""The cost of a copier without an agent and without missing paths, and its parts."""

from __future__ import annotations

from contextlib import contextmanager
from typing import Iterator

from bench.own_figures import Figures, Plan, distance
from bench.rig import Rig
from lab import sshd
from lab.content import Shape, make_closure
from lab.lab import ACCOUNT

NAME = "alone"
_CONFIG = "/root/.ssh/config"
_PYTHON = "/opt/nix-remote/bin/python"


def run(rig: Rig, plan: Plan) -> Figures:
    """Ratios: openssh_over_paramiko, master_over_paramiko."""
    figures = Figures(NAME, plan)
    top = make_closure(rig.workstation, Shape("alone", paths=int(300 * plan.scale)))[-1]
    copy = ["nix-remote", "copy", "--no-agent", top]
    master = f"{rig.alias}-master"
    contenders = {
        "python": [_PYTHON, "-I", "-S", "-c", "pass"],
        "loading": ["nix-remote", "copy", "--help"],
        "ssh": ["ssh", rig.alias, "true"],
        "ssh, master": ["ssh", master, "true"],
        "paramiko": [*copy, f"--host={rig.alias}"],
        "openssh": [*copy, f"--host={rig.alias}", "--transport=openssh"],
        "with master": [*copy, f"--host={master}", "--transport=openssh"],
    }
    rig.workstation.run([*copy, f"--host={rig.alias}"]).check()
    with distance(rig.server, plan.rtt_ms), _master_connection(rig, master):
        for number in range(plan.runs):
            plan.progress(f"run {number + 1} of {plan.runs}")
            for name, command in contenders.items():
                figures.add("seconds", name, rig.run(rig.workstation, command).seconds)
    for ratio, name in {"openssh": "openssh", "master": "with master"}.items():
        over = figures.median("seconds", name) / figures.median("seconds", "paramiko")
        figures.ratios[f"{ratio}_over_paramiko"] = over
    return figures


@contextmanager
def _master_connection(rig: Rig, name: str) -> Iterator[None]:
    """A master connection that `ssh` uses for every client of this alias."""
    host = rig.workstation
    sshd.introduce(host, rig.ssh_server, {name: ACCOUNT})
    shared = f"Host {name}\n    ControlPath /run/{name}\n\n"
    host.write(_CONFIG, shared + host.read(_CONFIG), mode="600")
    host.run(["ssh", "-M", "-N", "-f", name]).check()
    try:
        yield
    finally:
        host.run(["ssh", "-O", "exit", name]).check()
