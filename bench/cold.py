"""A toolchain that the server lacks: 300 paths, 400 MB, 20 files each."""

from __future__ import annotations

from bench.contenders import IMPORT
from bench.harness import Benchmark
from bench.rig import Rig
from lab.content import Shape, make_closure


def _prepare(rig: Rig, scale: float) -> str:
    shape = Shape("cold", paths=int(300 * scale), files_per_path=20, file_size=65536)
    return make_closure(rig.workstation, shape)[-1]


BENCHMARK = Benchmark(
    "cold", "300 paths, 400 MB, none of them on the server", _prepare, limit=IMPORT
)
