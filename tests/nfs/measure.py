"""The table of docs/nfs.md: how long an executor does not see a name that it looked for in vain.

python -m tests.nfs.measure [--trials NUMBER]    takes 10 minutes, mostly waiting
"""

from __future__ import annotations

import argparse
import os
import sys
from typing import Final

from lab import nix
from lab.lab import Lab
from nix_remote.setup import nfs as chosen
from tests.nfs.servers import SERVERS
from tests.nfs.trials import trials
from tests.nfs.trials.trials import Plan, Seen

OPTIONS: Final = (
    "ro,nfsvers=3",
    "ro,nfsvers=3,acdirmin=1,acdirmax=1",
    "ro,nfsvers=4.2",
    "ro,nfsvers=4.2,lookupcache=positive",
    chosen.mount_options(),
)
_LONGEST: Final = 90.0
"""Seconds after which a name counts as never seen."""


def row(server: str, seen: Seen) -> str:
    """One line of the table."""
    longest = f"{max(seen.delays):.2f} s" if seen.delays else "-"
    never = f", {seen.never} never" if seen.never else ""
    return f"| {server} | `{seen.plan.options}` | {longest}{never} |"


def main() -> int:
    """Prints the table."""
    parser = argparse.ArgumentParser(prog="python -m tests.nfs.measure")
    parser.add_argument("--trials", type=int, default=6, help="per server and options (6)")
    count = parser.parse_args().trials
    lab = Lab(f"measure{os.getpid()}")
    lab.open()
    try:
        lab.workstation_with(nix.Version.CURRENT)
        executor = lab.start_kernel_executor("measures")
        plans = [
            Plan(kind, options, None, count, seed, limit=_LONGEST)
            for seed, options in enumerate(OPTIONS)
            for kind in ("in-place", "bare")
        ]
        print("| Server | Options | Invisible at most |\n|---|---|---|")
        for name, start in SERVERS.items():
            server = start(lab)
            with trials.making(server):
                for seen in trials.run(server, executor, plans, timeout=100 + _LONGEST * count):
                    print(row(f"{name}, {seen.plan.kind}", seen), flush=True)
    finally:
        lab.down()
    return 0


if __name__ == "__main__":
    sys.exit(main())
