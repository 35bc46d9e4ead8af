"""The result of a benchmark, as JSON and as a table."""

from __future__ import annotations

import statistics
from typing import Any, Callable, Optional

from bench.contenders import EARLIER, OURS
from bench.harness import Result
from bench.rig import Measurement, Rig
from lab import images
from lab.commands import run

_RATIOS = {
    "best_rival_over_ours": ("ssh-ng", "ssh", "nix-copy-closure"),
    "ssh_over_ours": ("ssh",),
    "ssh_ng_over_ours": ("ssh-ng",),
    "earlier_over_ours": (EARLIER.name,),
}


def as_json(result: Result, versions: dict[str, str]) -> dict[str, Any]:
    """The documented object (docs/performance.md)."""

    def medians(
        quantity: Callable[[Measurement], float], digits: Optional[int]
    ) -> dict[str, float]:
        return {
            name: round(statistics.median(map(quantity, runs)), digits)
            for name, runs in result.measured.items()
        }

    return {
        "bench": result.benchmark.name,
        "rtt_ms": result.rtt_ms,
        "runs": result.runs,
        "seconds": medians(lambda run: run.seconds, 3),
        "ratios": {
            **{
                ratio: round(result.over_ours(*measured), 3)
                for ratio, names in _RATIOS.items()
                if (measured := [name for name in names if name in result.measured])
            },
            "limit_over_ours": round(result.over_ours(result.benchmark.limit.name), 3),
        },
        "limit": result.benchmark.limit.name,
        "spread": {
            name: [round(pick(run.seconds for run in runs), 3) for pick in (min, max)]
            for name, runs in result.measured.items()
        },
        "fewer_runs": {
            name: len(runs) for name, runs in result.measured.items() if len(runs) < result.runs
        },
        "cpu_seconds": medians(lambda run: run.cpu_seconds, 3),
        "peak_rss_mb": medians(lambda run: run.peak_rss_mb, 1),
        "wire_bytes": medians(lambda run: run.wire_bytes, None),
        "round_trips": {
            name: {"in_all": trips.in_all, "after_login": trips.after_login}
            for name, trips in result.round_trips.items()
        },
        "versions": versions,
    }


def as_table(result: Result) -> str:
    """One line per contender."""
    lines = [
        f"{result.benchmark.name}: {result.benchmark.summary}",
        f"{result.runs} runs, round-trip time {result.rtt_ms:g} ms",
        f"{'':18}{'median':>9}{'least':>9}{'most':>9}{'times ours':>12}"
        f"{'CPU s':>8}{'MB peak':>9}{'MB wire':>9}",
    ]
    for name, runs in result.measured.items():
        seconds = [run.seconds for run in runs]
        lines.append(
            f"{name:18}{statistics.median(seconds):9.3f}{min(seconds):9.3f}{max(seconds):9.3f}"
            f"{result.over_ours(name):12.2f}"
            f"{statistics.median(run.cpu_seconds for run in runs):8.2f}"
            f"{statistics.median(run.peak_rss_mb for run in runs):9.0f}"
            f"{statistics.median(run.wire_bytes for run in runs) / 1e6:9.1f}"
            + (f"  ({len(runs)} of {result.runs} runs: slow)" if len(runs) < result.runs else "")
        )
    for name, trips in result.round_trips.items():
        lines.append(
            f"{name}: {trips.in_all} round trips, {trips.after_login} of them after the login"
        )
    return "\n".join(lines)


def versions(rig: Rig) -> dict[str, str]:
    """The versions of the programs involved."""
    commit = run(["git", "-C", images.REPOSITORY, "describe", "--always", "--dirty"])
    return {
        OURS: f"{rig.workstation.sh('nix-remote --version').split()[-1]} ({commit.stdout.strip()})",
        "nix": rig.workstation.sh("nix --version").split()[-1],
        "nix on the server": rig.server.sh("nix --version").split()[-1],
        "python": rig.workstation.sh("/opt/nix-remote/bin/python --version").split()[-1],
        "ssh": rig.workstation.sh("ssh -V 2>&1").split(",")[0],
    }
