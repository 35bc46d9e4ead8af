"""How long a new path stays invisible to a client that has looked it up before."""

from __future__ import annotations

import itertools
import subprocess
import time
from typing import Final

from tests.nfs.site import STORE, Site

_numbers = itertools.count(1)

AGE: Final = 2.0
"""Seconds between the failed lookup and the copy."""

# Looks up the path once, reports it, then polls; prints the time when the path exists.
_LOOK: Final = """
import os, sys, time
path, seconds = sys.argv[1], float(sys.argv[2])
print("there" if os.path.exists(path) else "absent", flush=True)
end = time.monotonic() + seconds
while time.monotonic() < end:
    if os.path.exists(path):
        print(time.time(), flush=True)
        break
    time.sleep(0.02)
else:
    print("never", flush=True)
"""


def seconds_until_visible(site: Site, *, at_most: float = 100, age: float = AGE) -> float:
    """The delay through the present mount; infinite if it exceeds `at_most`."""
    name = f"{next(_numbers):032d}-new"
    path = f"{STORE}/{name}"
    # Something else was read before: the folder's attributes are known, as in everyday's life.
    site.executor.sh(f"ls {STORE} >/dev/null")
    looking = site.executor.popen(
        ["python3", "-c", _LOOK, path, str(at_most)], stdout=subprocess.PIPE
    )
    try:
        assert looking.stdout is not None
        first = looking.stdout.readline().decode().strip()
        assert first == "absent", first
        time.sleep(age)
        # As Nix does it: under another name, then renamed.
        site.server.sh(f"mkdir {STORE}/.new; echo > {STORE}/.new/file; mv {STORE}/.new {path}")
        appeared = time.time()
        seen = looking.stdout.readline().decode().strip()
    finally:
        looking.kill()
        looking.communicate()
        site.server.sh(f"rm -rf {path} {STORE}/.new")
    return float("inf") if seen == "never" else max(0.0, float(seen) - appeared)
