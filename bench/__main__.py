"""`tools/bench NAME [--rtt MS] [--json FILE]`."""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path
from typing import Any, Callable

from bench import (
    actions,
    alone,
    bazel_warm,
    burst,
    cold,
    harness,
    incremental,
    many_small,
    memory,
    nothing_missing,
    report,
    thin_client,
)
from bench.contenders import COPIERS, EARLIER
from bench.own_figures import Plan
from bench.rig import Rig
from lab.commands import LabError
from lab.lab import Lab, remove_abandoned

_BENCHMARKS = {
    module.BENCHMARK.name: module.BENCHMARK
    for module in (cold, incremental, nothing_missing, memory, many_small)
}

_WITH_OWN_FIGURES = {each.NAME: each.run for each in (thin_client, burst, alone)}
_RUNS = 5


def main() -> int:
    """Runs one benchmark; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="tools/bench", description="Measures a copy against Nix's own means, by turns."
    )
    parser.add_argument(
        "name", choices=[*_BENCHMARKS, *_WITH_OWN_FIGURES, bazel_warm.NAME, actions.NAME]
    )
    parser.add_argument(
        "--rtt",
        type=float,
        default=0,
        metavar="MS",
        help="round-trip time of the server (0)",
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the result to FILE")
    parser.add_argument("--runs", type=int, metavar="N", help="number of runs of each contender")
    parser.add_argument(
        "--small", action="store_true", help="use a tenth of the content, to try the benchmark"
    )
    parser.add_argument(
        "--earlier", type=Path, metavar="DIR", help="also measure another checkout of nix_remote"
    )
    parser.add_argument(
        "--without",
        action="append",
        default=[],
        choices=[rival.name for rival in COPIERS[1:]],
        help="do not run this rival, for instance one that takes minutes",
    )
    parser.add_argument(
        "--rules-nixpkgs",
        type=Path,
        metavar="DIR",
        help="a checkout, for bazel-warm",
    )
    options = parser.parse_args()
    if options.earlier is not None and options.name not in _BENCHMARKS:
        parser.error(f"--earlier is for {', '.join(_BENCHMARKS)}")
    if options.name == bazel_warm.NAME and options.rules_nixpkgs is None:
        parser.error("bazel-warm needs --rules-nixpkgs")

    def progress(text: str) -> None:
        print(text, file=sys.stderr, flush=True)

    remove_abandoned("bench")
    lab = Lab(f"bench{os.getpid()}", progress)
    try:
        lab.open()
        if options.name == actions.NAME:
            figures = actions.run(lab, Plan(options.rtt, options.runs or _RUNS, 1, progress))
            found, table = figures.as_json(), figures.as_table()
        else:
            found, table = _measure(options, lab, Rig(lab), progress)
    except LabError as error:
        print(error, file=sys.stderr)
        return 1
    finally:
        lab.down()
    print(table)
    if options.json is not None:
        options.json.write_text(json.dumps(found, indent=2) + "\n")
    return 0


def _measure(
    options: argparse.Namespace, lab: Lab, rig: Rig, progress: Callable[[str], None]
) -> tuple[dict[str, Any], str]:
    """JSON and a table."""
    scale = 0.1 if options.small else 1
    if options.name in _BENCHMARKS:
        copiers = tuple(each for each in COPIERS if each.name not in options.without)
        if options.earlier is not None:
            rig.install_earlier(options.earlier.resolve())
            copiers += (EARLIER,)
        result = harness.run(
            rig,
            _BENCHMARKS[options.name],
            rtt_ms=options.rtt,
            runs=options.runs,
            scale=scale,
            progress=progress,
            copiers=copiers,
        )
        return report.as_json(result, report.versions(rig)), report.as_table(result)
    plan = Plan(options.rtt, options.runs or _RUNS, scale, progress)
    if options.name == bazel_warm.NAME:
        figures = bazel_warm.run(rig, plan, lab, options.rules_nixpkgs.resolve())
    else:
        figures = _WITH_OWN_FIGURES[options.name](rig, plan)
    return {**figures.as_json(), "versions": report.versions(rig)}, figures.as_table()


if __name__ == "__main__":
    sys.exit(main())
