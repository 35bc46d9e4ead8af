"""Shared by benchmarks of many copiers: contenders, medians, and tables."""

from __future__ import annotations

import statistics
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import Any, Callable, ContextManager, Iterator, Mapping, Sequence

from lab.host import Host
from lab.wan import wide_area_link
from tests.integration.herd import Herd

Progress = Callable[[str], None]

WAYS: Mapping[str, Sequence[str]] = {"agent": (), "leader": (), "no-agent": ("--no-agent",)}
"""How copiers work together -> the options for it."""


@dataclass(frozen=True)
class Plan:
    """The options of the command line."""

    rtt_ms: float
    runs: int
    scale: float
    progress: Progress


@dataclass
class Figures:
    """What was measured: quantity -> contender -> one value per run."""

    bench: str
    plan: Plan
    measured: dict[str, dict[str, list[float]]] = field(default_factory=dict)
    ratios: dict[str, float] = field(default_factory=dict)

    def add(self, quantity: str, contender: str, value: float) -> None:
        """One run's value."""
        self.measured.setdefault(quantity, {}).setdefault(contender, []).append(value)

    def median(self, quantity: str, contender: str) -> float:
        """Of all runs."""
        return statistics.median(self.measured[quantity][contender])

    def as_json(self) -> dict[str, Any]:
        """The object of docs/performance.md, as far as it applies."""
        medians = {
            quantity: {name: round(statistics.median(runs), 4) for name, runs in found.items()}
            for quantity, found in self.measured.items()
        }
        return {
            "bench": self.bench,
            "rtt_ms": self.plan.rtt_ms,
            "runs": self.plan.runs,
            **medians,
            "ratios": {name: round(value, 4) for name, value in self.ratios.items()},
        }

    def as_table(self) -> str:
        """One line per quantity and contender, then the ratios."""
        lines = [f"{self.bench}: {self.plan.runs} runs, round-trip time {self.plan.rtt_ms:g} ms"]
        for quantity, found in self.measured.items():
            for name, runs in found.items():
                lines.append(
                    f"  {quantity:12}{name:24}{statistics.median(runs):12.3f}"
                    f"  ({min(runs):.3f} to {max(runs):.3f})"
                )
        lines += [f"  {name} {value:.4f}" for name, value in self.ratios.items()]
        return "\n".join(lines)


def distance(server: Host, rtt_ms: float) -> ContextManager[object]:
    """Delays the link to the server, in a `with` block."""
    return wide_area_link(server, rtt_ms=rtt_ms) if rtt_ms else nullcontext()


@contextmanager
def working(herd: Herd, way: str) -> Iterator[None]:
    """An agent without a connection, for the contenders that use one."""
    if way != "agent":
        yield
        return
    with herd.agent_running():
        yield
