"""Fifty concurrent copiers of overlapping closures that the server lacks."""

from __future__ import annotations

import threading
import time

from bench.own_figures import WAYS, Figures, Plan, distance, working
from bench.rig import Rig
from lab.content import Shape, make_closure
from tests.integration.herd import Herd

NAME = "burst"
_COPIERS = 50
_SAMPLE = 0.2
_HERD = "nix_remote|nix-remote"


def run(rig: Rig, plan: Plan) -> Figures:
    """Ratio: wire_bytes_over_unique_missing, the worst of all ways; and for each way."""
    herd = Herd(rig.workstation)
    herd.install()
    figures = Figures(NAME, plan)
    shape = Shape("burst", paths=int(200 * plan.scale), files_per_path=10, file_size=50_000)
    paths = make_closure(rig.workstation, shape)
    tops = paths[-min(_COPIERS, len(paths)) :]
    sizes = rig.workstation.run(["nix-store", "--query", "--size", *paths]).check().stdout
    missing = sum(map(int, sizes.split()))
    rig.save()
    with distance(rig.server, plan.rtt_ms):
        for number in range(plan.runs):
            plan.progress(f"run {number + 1} of {plan.runs}")
            for way in WAYS:
                rig.reset()
                with working(herd, way):
                    _one(rig, herd, tops, way, figures)
                plan.progress(f"  {way}: {figures.measured['seconds'][way][-1]:.2f} s")
    for way in WAYS:
        ratio = max(figures.measured["wire_bytes"][way]) / missing
        figures.ratios[f"wire_bytes_over_unique_missing ({way})"] = ratio
    figures.ratios["wire_bytes_over_unique_missing"] = max(figures.ratios.values())
    return figures


def _one(rig: Rig, herd: Herd, tops: list[str], way: str, figures: Figures) -> None:
    memory = _Memory(rig)
    logins, sent, begun = rig.ssh_server.logins(), _sent_bytes(rig), time.monotonic()
    data = herd.copy_all(tops, *WAYS[way], alias=rig.alias)
    figures.add("seconds", way, time.monotonic() - begun)
    figures.add("wire_bytes", way, _sent_bytes(rig) - sent)
    figures.add("logins", way, rig.ssh_server.logins() - logins)
    figures.add("peak_mb", way, memory.peak())
    every = [path for each in data for path in each["sent"]]
    figures.add("sent_twice", way, len(every) - len(set(every)))


def _sent_bytes(rig: Rig) -> int:
    lines = rig.workstation.read("/proc/net/dev").splitlines()
    (line,) = [line for line in lines[2:] if not line.strip().startswith("lo:")]
    return int(line.split(":")[1].split()[8])


class _Memory:
    """The memory of all copiers together, sampled."""

    def __init__(self, rig: Rig) -> None:
        self._host = rig.workstation
        self._peak = 0.0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()

    def _look(self) -> None:
        # Shared memory is divided among its processes, so the sum is the real use.
        script = (
            f"for process in $(pgrep -f '{_HERD}'); do"
            " grep -s ^Pss: /proc/$process/smaps_rollup || true; done"
        )
        while not self._over.wait(_SAMPLE):
            found = self._host.run(["bash", "-c", script]).stdout.split("\n")
            total = sum(int(line.split()[1]) for line in found if line)
            self._peak = max(self._peak, total / 1000)

    def peak(self) -> float:
        """The largest sample, in MB."""
        self._over.set()
        self._thread.join()
        return self._peak
