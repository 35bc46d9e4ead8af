"""The tables of docs/nfs.md.

python -m tests.nfs.measure [--rtt MILLISECONDS]    takes 15 minutes, mostly waiting
"""

from __future__ import annotations

import argparse
import contextlib
import os
import sys

from lab.lab import Lab
from lab.wan import wide_area_link
from nix_remote.setup import nfs as chosen
from tests.nfs import headers, visibility
from tests.nfs.site import Site, running

OPTIONS = (
    "ro,nfsvers=3",
    "ro,nfsvers=3,lookupcache=positive",
    "ro,nfsvers=4.2",
    "ro,nfsvers=4.2,lookupcache=positive",
    "ro,nfsvers=4.2,lookupcache=none",
    "ro,nfsvers=4.2,acdirmin=1,acdirmax=3",
    "ro,nfsvers=4.2,actimeo=1",
    "ro,nfsvers=4.2,noac",
    "ro,nfsvers=4.2,lookupcache=positive,nocto,actimeo=600",
    chosen.mount_options(),
)


def row(site: Site, options: str) -> str:
    """One line of the table."""
    site.mount(options)
    delay = visibility.seconds_until_visible(site)
    site.mount(options)
    cost = headers.cost(site)
    return (
        f"| `{options}` | {delay:.1f} s | {cost.first:.2f} s | {cost.again:.2f} s |"
        f" {cost.calls_again} |"
    )


def main() -> int:
    """Prints the table."""
    parser = argparse.ArgumentParser(prog="python -m tests.nfs.measure")
    parser.add_argument("--rtt", type=float, default=0, help="milliseconds to the server and back")
    rtt = parser.parse_args().rtt
    with contextlib.ExitStack() as stack:
        site = stack.enter_context(running(Lab(f"measure{os.getpid()}")))
        headers.install(site.server)
        if rtt:
            stack.enter_context(wide_area_link(site.server, rtt_ms=rtt))
        ping = headers.ping(site.executor, site.server)
        print(f"{headers.MISSES} look-ups in vain; {ping:.2f} ms to connect")
        print("| Options | Invisible | Compile, first | Again | Calls |")
        print("|---|---|---|---|---|")
        for options in OPTIONS:
            print(row(site, options), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
