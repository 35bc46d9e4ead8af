"""Runs the contenders of a benchmark in turns; computes medians and ratios."""

from __future__ import annotations

import statistics
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import Callable, Optional

from bench.contenders import COPIERS, LIMITS, OF_NIX_REMOTE, OURS, Copier, Limit
from bench.rig import Measurement, Rig
from bench.round_trips import RoundTrips, count
from lab import nix
from lab.commands import LabError
from lab.wan import wide_area_link

_SLOW = 30.0
"""Seconds. A rival that takes longer for a run is not run again."""

Progress = Callable[[str], None]


@dataclass(frozen=True)
class Benchmark:
    """The content to copy, and the part of it that the server has."""

    name: str
    summary: str
    prepare: Callable[[Rig, float], str]
    """Creates the content, scaled by a factor, and returns the path to copy."""
    limit: Limit
    """The limit of the ratio; the other limit is measured too."""
    runs: int = 5
    counts_round_trips: bool = False


@dataclass(frozen=True)
class Result:
    """What was measured."""

    benchmark: Benchmark
    rtt_ms: float
    runs: int
    measured: dict[str, list[Measurement]]
    """Contender -> its runs, at least one."""
    copiers: tuple[Copier, ...] = COPIERS
    round_trips: dict[str, RoundTrips] = field(default_factory=dict)

    def seconds(self, contender: str) -> float:
        """The median."""
        return statistics.median(run.seconds for run in self.measured[contender])

    def over_ours(self, *contenders: str) -> float:
        """The time of the fastest of these, relative to ours."""
        return min(map(self.seconds, contenders)) / self.seconds(OURS)


def run(
    rig: Rig,
    benchmark: Benchmark,
    *,
    rtt_ms: float,
    runs: Optional[int],
    scale: float,
    progress: Progress,
    copiers: tuple[Copier, ...] = COPIERS,
) -> Result:
    """Runs a benchmark with the server `rtt_ms` away. One of the copiers is ours."""
    progress("making the content")
    path = benchmark.prepare(rig, scale)
    rig.save()
    result = Result(benchmark, rtt_ms, runs or benchmark.runs, {}, copiers)
    with rig.stream(path) as stream:
        # Ours keeps bytecode from its first run on, as an installed program does.
        for copier in OF_NIX_REMOTE:
            if copier in copiers:
                _copy(rig, copier, path)
        with wide_area_link(rig.server, rtt_ms=rtt_ms) if rtt_ms else nullcontext():
            for number in range(1, result.runs + 1):
                progress(f"run {number} of {result.runs}")
                _run_all_once(rig, result, path, stream, progress)
    if benchmark.counts_round_trips:
        for copier in copiers:
            progress(f"counting the round trips of {copier.name}")
            rig.reset()
            result.round_trips[copier.name] = count(rig, copier, path)
    return result


def _run_all_once(rig: Rig, result: Result, path: str, stream: str, progress: Progress) -> None:
    for copier in result.copiers:
        earlier = result.measured.setdefault(copier.name, [])
        if copier in OF_NIX_REMOTE or not any(run.seconds > _SLOW for run in earlier):
            earlier.append(_copy(rig, copier, path))
            progress(f"  {copier.name}: {earlier[-1].seconds:.2f} s")
    for limit in LIMITS:
        rig.reset()
        earlier = result.measured.setdefault(limit.name, [])
        earlier.append(limit.run(rig, stream))
        progress(f"  {limit.name}: {earlier[-1].seconds:.2f} s")


def _copy(rig: Rig, copier: Copier, path: str) -> Measurement:
    rig.reset()
    measurement = rig.run(rig.workstation, copier.command(rig.alias, path))
    if not nix.is_valid(rig.server, path):
        raise LabError(f"{copier.name} ended well, but {path} is not valid on the server")
    return measurement
