"""Runs trials of visibility between a server and an executor of a site, each on its own mount."""

from __future__ import annotations

import json
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final, Iterator, Mapping, Optional, Sequence

from lab.host import Host, wait_until

PORT: Final = 7000
_FOLDER: Final = Path(__file__).parent

KINDS: Final[Mapping[str, Mapping[str, float]]] = {
    # Nix unpacks a path under its last name, file by file.
    "in-place": {"names": 4, "files": 2, "pause": 0.01, "gap": 0.0, "between": 0.015},
    "renamed": {"names": 4, "files": 2, "pause": 0.0, "gap": 0.0, "between": 0.015},
    # Two changes and more within one tick of the server's clock.
    "bare": {"names": 6, "files": 0, "pause": 0.0, "gap": 0.0, "between": 0.015},
    "bare, slowly": {"names": 6, "files": 0, "pause": 0.0, "gap": 0.02, "between": 0.015},
    # One name, looks in vain for the second, and the second, within one tick.
    "tick": {"names": 2, "files": 0, "pause": 0.0, "gap": 0.003, "between": 0.002},
    # A file of 1.5 MB that is read while it is written.
    "growing": {"names": 1, "files": 24, "pause": 0.02, "gap": 0.0, "between": 0.015},
}
"""How a path is made -> how many names at a time, files in each, pauses of the
server in seconds, and seconds between looks in vain on average."""


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
    first: str = ""
    """What is done before the looks that count: "open" or "stat" of the store's folder."""


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
    try:
        for place, plan in zip(places, plans):
            # Of its own: mounts of the same server share what they know.
            options = f"{plan.options},nosharecache"
            executor.sh(
                f"mkdir -p {place}; mount -t nfs -o {options} {server.address}:/nix/store {place};"
                f" ls {place} >/dev/null"
            )
        described = [_described(plan, place) for plan, place in zip(plans, places)]
        # One command for all: an SSH server has a limit of sessions.
        prober = ["python3", "/run/prober.py", server.address, str(PORT), *described]
        lines = executor.run(prober, timeout=timeout).check().stdout.splitlines()
        return [Seen(plan, **json.loads(line)) for plan, line in zip(plans, lines)]
    finally:
        executor.sh(" ".join(f"umount {place} || true;" for place in places))


def _described(plan: Plan, place: str) -> str:
    """The plan as the prober takes it, which does not know the kinds."""
    described = {**KINDS[plan.kind], **asdict(plan), "store": place}
    described["kind"] = plan.kind.partition(",")[0].replace("tick", "bare")
    return json.dumps(described)
