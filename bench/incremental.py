"""The daily case: one of 3000 paths is missing."""

from __future__ import annotations

from bench.contenders import SEND
from bench.harness import Benchmark
from bench.rig import Rig
from lab.content import Shape, make_closure


def _prepare(rig: Rig, scale: float) -> str:
    *others, top = make_closure(rig.workstation, Shape("incremental", paths=int(3000 * scale)))
    rig.send(others)
    return top


BENCHMARK = Benchmark(
    "incremental", "3000 paths, all but one on the server", _prepare, limit=SEND, runs=7
)
