"""What is to be sent, and why: a pure value that is printed, and that the engine carries out."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Collection, Sequence

from nix_remote.wire.types import PathInfo, StorePath


class Reason(enum.Enum):
    """Why a path is sent or not."""

    MISSING = "missing"
    VALID = "valid"


@dataclass(frozen=True)
class PlannedPath:
    """One path of the closure."""

    info: PathInfo
    reason: Reason


@dataclass(frozen=True)
class Plan:
    """The closure in dependency order, with what has to be done about each path."""

    paths: tuple[PlannedPath, ...]

    @property
    def missing(self) -> tuple[PathInfo, ...]:
        """What must be sent, in dependency order."""
        return tuple(path.info for path in self.paths if path.reason is Reason.MISSING)

    @property
    def valid(self) -> tuple[PathInfo, ...]:
        """What the server has."""
        return tuple(path.info for path in self.paths if path.reason is Reason.VALID)

    @property
    def missing_bytes(self) -> int:
        """NAR bytes of what must be sent."""
        return sum(info.nar_size for info in self.missing)


def make_plan(closure: Sequence[PathInfo], valid: Collection[StorePath]) -> Plan:
    """Compares a closure (in dependency order) with what the server has."""
    return Plan(
        tuple(
            PlannedPath(info, Reason.VALID if info.path in valid else Reason.MISSING)
            for info in closure
        )
    )
