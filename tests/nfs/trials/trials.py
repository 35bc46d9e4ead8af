"""Runs trials of visibility between a server and an executor of a site, each on its own mount."""

from __future__ import annotations

import json
import subprocess
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final, Iterator, Mapping, Optional, Sequence

from lab.host import Host, wait_until

PORT: Final = 7000
_FOLDER: Final = Path(__file__).parent

KINDS: Final[Mapping[str, Mapping[str, float]]] = {
    # Nix unpacks a path under its last name, file by file.
    "in-place": {"names": 4, "files": 2, "pause": 0.01, "gap": 0.0},
    "renamed": {"names": 4, "files": 2, "pause": 0.0, "gap": 0.0},
    # Two changes and more within one tick of the server's clock.
    "bare": {"names": 6, "files": 0, "pause": 0.0, "gap": 0.0},
    "bare, slowly": {"names": 6, "files": 0, "pause": 0.0, "gap": 0.02},
    # A file of 1.5 MB that is read while it is written.
    "growing": {"names": 1, "files": 24, "pause": 0.02, "gap": 0.0},
}
"""How a path is made -> how many names at a time, files in each, and pauses in seconds."""


@dataclass(frozen=True)
class Plan:
    """Trials on one mount."""

    kind: str
    options: str
    """Of the mount."""
    settle: Optional[float]
    """Seconds after which every name has to be seen; None: how long it takes is measured."""
    trials: int
    seed: int
    limit: float = 100.0
    """Seconds after which a name counts as never seen."""


@dataclass(frozen=True)
class Seen:
    """What an executor saw."""

    plan: Plan
    trials: int
    targets: int
    """Names, and files in them."""
    looks: int
    """Looks in vain."""
    invisible: int
    """Targets that were not seen, or not whole, when the settle time had passed."""
    delays: Sequence[float]
    """Seconds of each trial, if they were measured."""
    never: int


@contextmanager
def making(server: Host) -> Iterator[None]:
    """In the `with` block, the server makes what probers ask for."""
    server.write("/run/maker.py", (_FOLDER / "maker.py").read_text())
    server.start_service("maker", ["python3", "/run/maker.py", str(PORT)])
    probe = f"exec 3<>/dev/tcp/127.0.0.1/{PORT}"
    try:
        wait_until(lambda: server.run(["bash", "-c", probe]).status == 0, "the maker")
        yield
    finally:
        server.stop_service("maker")


def run(server: Host, executor: Host, plans: Sequence[Plan], *, timeout: float) -> list[Seen]:
    """Runs the plans at the same time; within `timeout` seconds. The server is `making`."""
    executor.write("/run/prober.py", (_FOLDER / "prober.py").read_text())
    places = [f"/run/trial-{number}" for number in range(len(plans))]
    probers: list[subprocess.Popen[bytes]] = []
    try:
        for place, plan in zip(places, plans):
            # Of its own: mounts of the same server share what they know.
            options = f"{plan.options},nosharecache"
            executor.sh(
                f"mkdir -p {place}; mount -t nfs -o {options} {server.address}:/nix/store {place};"
                f" ls {place} >/dev/null"
            )
        for place, plan in zip(places, plans):
            described = {**KINDS[plan.kind], **asdict(plan), "store": place}
            described["kind"] = plan.kind.partition(",")[0]
            command = [
                "python3",
                "/run/prober.py",
                server.address,
                str(PORT),
                json.dumps(described),
            ]
            probers.append(executor.popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE))
        return [_seen(plan, prober, timeout) for plan, prober in zip(plans, probers)]
    finally:
        for prober in probers:
            prober.kill()
            prober.communicate()
        executor.sh(" ".join(f"umount {place} || true;" for place in places))


def _seen(plan: Plan, prober: subprocess.Popen[bytes], timeout: float) -> Seen:
    output, errors = prober.communicate(timeout=timeout)
    assert prober.returncode == 0, errors.decode()
    return Seen(plan, **json.loads(output))
