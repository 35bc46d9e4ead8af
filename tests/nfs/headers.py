"""The cost of mount options for a compiler, which looks up every header in many folders."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from lab.host import Host
from tests.nfs.site import STORE, Site

FOLDERS: Final = 20
HEADERS: Final = 300
MISSES: Final = HEADERS * (FOLDERS - 1) // 2
"""Failed lookups of one compilation: a header is in one of the folders, on average half-way."""

FOLDER: Final = f"{STORE}/{'0' * 32}-headers"


@dataclass(frozen=True)
class Cost:
    """Of one preprocessing; seconds, and calls to the server."""

    first: float
    """With empty caches."""
    again: float
    """The same once more, at once; the fastest of three."""
    calls_again: int


def install(server: Host) -> None:
    """Puts the headers into the server's store."""
    server.sh(
        f"""
        for folder in $(seq {FOLDERS}); do mkdir -p {FOLDER}/$folder; done
        for header in $(seq {HEADERS}); do
          echo "int f$header(int);" > {FOLDER}/$((header % {FOLDERS} + 1))/h$header.h
        done
        """
    )


def prepare(executor: Host) -> str:
    """The command that preprocesses a file that includes all headers, which it makes."""
    includes = "".join(f'#include "h{number}.h"\\n' for number in range(1, HEADERS + 1))
    flags = " ".join(f"-I{FOLDER}/{number}" for number in range(1, FOLDERS + 1))
    executor.sh(f"printf '{includes}' > /tmp/all.c; gcc -E /dev/null -o /dev/null")
    return f"gcc -E {flags} /tmp/all.c -o /dev/null"


def cost(site: Site) -> Cost:
    """Preprocesses a file that includes all headers, through the mount that is there."""
    command = prepare(site.executor)
    first, _ = _timed(site, command)
    repeated = [_timed(site, command) for _ in range(3)]
    return Cost(first, min(seconds for seconds, _ in repeated), repeated[-1][1])


def _timed(site: Site, command: str) -> tuple[float, int]:
    """Seconds, and how many calls the kernel made to NFS servers."""
    calls = "awk '$1 == \"rpc\" { print $2; exit }' /proc/net/rpc/nfs"
    now = "date +%s.%N"
    script = f"a=$({calls}); s=$({now}); {command}; e=$({now}); echo $s $e $(($({calls}) - a))"
    begun, ended, count = site.executor.sh(script, timeout=120).split()
    return float(ended) - float(begun), int(count)


def ping(executor: Host, server: Host) -> float:
    """Milliseconds to the server and back: connecting, the fastest of a few."""
    code = (
        "import socket, sys, time\n"
        "def once():\n"
        "    begun = time.perf_counter()\n"
        "    socket.create_connection((sys.argv[1], 2049)).close()\n"
        "    return time.perf_counter() - begun\n"
        "print(min(once() for _ in range(20)) * 1000)\n"
    )
    return float(executor.run(["python3", "-c", code, server.address]).check().stdout)
