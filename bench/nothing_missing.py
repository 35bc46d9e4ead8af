"""The most frequent case: the server has all 5000 paths, so only the query remains."""

from __future__ import annotations

from bench.contenders import SEND
from bench.harness import Benchmark
from bench.rig import Rig
from lab.content import Shape, make_closure


def _prepare(rig: Rig, scale: float) -> str:
    top = make_closure(rig.workstation, Shape("nothing-missing", paths=int(5000 * scale)))[-1]
    rig.send([top])
    return top


BENCHMARK = Benchmark(
    "nothing-missing",
    "5000 paths, all on the server",
    _prepare,
    limit=SEND,
    runs=7,
    counts_round_trips=True,
)
