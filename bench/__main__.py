"""`tools/bench NAME [--rtt MS] [--json FILE]`."""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path

from bench import cold, harness, incremental, many_small, memory, nothing_missing, report
from bench.rig import Rig
from tests.lab.commands import LabError
from tests.lab.lab import Lab, remove_abandoned

_BENCHMARKS = {
    module.BENCHMARK.name: module.BENCHMARK
    for module in (cold, incremental, nothing_missing, memory, many_small)
}


def main() -> int:
    """Runs one benchmark; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="tools/bench", description="Measures a copy against Nix's own means, by turns."
    )
    parser.add_argument("name", choices=_BENCHMARKS)
    parser.add_argument(
        "--rtt", type=float, default=0, metavar="MS", help="how far away the server is (default: 0)"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="put the result there, too")
    parser.add_argument("--runs", type=int, metavar="N", help="how often each contender is run")
    parser.add_argument(
        "--small", action="store_true", help="a tenth of the content: to see that it works"
    )
    options = parser.parse_args()

    def progress(text: str) -> None:
        print(text, file=sys.stderr, flush=True)

    remove_abandoned("bench")
    lab = Lab(f"bench{os.getpid()}", progress)
    try:
        lab.open()
        rig = Rig(lab)
        result = harness.run(
            rig,
            _BENCHMARKS[options.name],
            rtt_ms=options.rtt,
            runs=options.runs,
            scale=0.1 if options.small else 1,
            progress=progress,
        )
        found = report.as_json(result, report.versions(rig))
    except LabError as error:
        print(error, file=sys.stderr)
        return 1
    finally:
        lab.down()
    print(report.as_table(result))
    if options.json is not None:
        options.json.write_text(json.dumps(found, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
