"""Memory use with one path of one 4 GB file. The file consists of zeros, and is sent."""

from __future__ import annotations

from bench.contenders import IMPORT
from bench.harness import Benchmark
from bench.rig import Rig
from lab.content import make_sparse_file


def _prepare(rig: Rig, scale: float) -> str:
    return make_sparse_file(rig.workstation, "large", int(4e9 * scale))


BENCHMARK = Benchmark("memory", "one file of 4 GB", _prepare, limit=IMPORT, runs=3)
