"""What is to be sent, and why: a pure value that is printed, and that the engine carries out."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from types import MappingProxyType
from typing import Collection, Mapping, Sequence

from nix_remote.wire.types import PathInfo, StorePath


class Reason(enum.Enum):
    """Why a path is sent or not."""

    MISSING = "missing"
    VALID = "valid"
    DIFFERENT = "different"
    """Valid on the server, with other content than here."""


@dataclass(frozen=True)
class PlannedPath:
    """One path of the closure."""

    info: PathInfo
    reason: Reason


@dataclass(frozen=True)
class Plan:
    """The closure in dependency order, with what has to be done about each path."""

    paths: tuple[PlannedPath, ...]

    def having(self, reason: Reason) -> tuple[PathInfo, ...]:
        """The paths with that reason, in dependency order."""
        return tuple(path.info for path in self.paths if path.reason is reason)

    @property
    def missing(self) -> tuple[PathInfo, ...]:
        """What must be sent, in dependency order."""
        return self.having(Reason.MISSING)

    @property
    def missing_bytes(self) -> int:
        """NAR bytes of what must be sent."""
        return sum(info.nar_size for info in self.missing)


def make_plan(
    closure: Sequence[PathInfo],
    valid: Collection[StorePath],
    registered: Mapping[StorePath, PathInfo] = MappingProxyType({}),
) -> Plan:
    """Compares a closure (in dependency order) with what the server has.

    `registered` is what the server says of valid paths, where that was asked.
    """

    def reason(info: PathInfo) -> Reason:
        if info.path not in valid:
            return Reason.MISSING
        there = registered.get(info.path, info)
        return Reason.VALID if there.nar_hash == info.nar_hash else Reason.DIFFERENT

    return Plan(tuple(PlannedPath(info, reason(info)) for info in closure))
