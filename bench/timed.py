"""Runs a command and prints its cost as JSON. Runs on a host."""

import json
import resource
import subprocess
import sys
import time
from pathlib import Path


def wire_bytes() -> int:
    """Bytes that have passed this host's network card, both ways."""
    counters = Path("/sys/class/net/eth0/statistics")
    return sum(int((counters / name).read_text()) for name in ("rx_bytes", "tx_bytes"))


def main() -> None:
    """Ends as the command did."""
    wire_before = wire_bytes()
    begun = time.perf_counter()
    done = subprocess.run(
        sys.argv[1:], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, check=False
    )
    seconds = time.perf_counter() - begun
    # Of the command and all its descendants; peak memory is that of the largest of them.
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    print(
        json.dumps(
            {
                "seconds": seconds,
                "cpu_seconds": usage.ru_utime + usage.ru_stime,
                "peak_rss_mb": usage.ru_maxrss * 1024 / 1e6,
                "wire_bytes": wire_bytes() - wire_before,
            }
        )
    )
    sys.exit(done.returncode)


if __name__ == "__main__":
    main()
