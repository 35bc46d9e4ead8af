"""The cost per path: 2000 paths of one small file, all missing on the server."""

from __future__ import annotations

from bench.contenders import IMPORT
from bench.harness import Benchmark
from bench.rig import Rig
from lab.content import Shape, make_closure


def _prepare(rig: Rig, scale: float) -> str:
    return make_closure(rig.workstation, Shape("many-small", paths=int(2000 * scale)))[-1]


BENCHMARK = Benchmark(
    "many-small", "2000 paths of one small file, none on the server", _prepare, limit=IMPORT
)
