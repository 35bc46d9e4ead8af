"""What is to be sent, and why: a pure value that is printed, and that the engine carries out."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from types import MappingProxyType
from typing import Collection, Final, Mapping, Sequence

from nix_remote.store.paths import PathInfo, StorePath


class Reason(enum.Enum):
    """Why a path is sent or not."""

    MISSING = "missing"
    VALID = "valid"
    ON_THE_WAY = "on-the-way"
    """Another invocation sends it, in the same copy."""
    DIFFERENT = "different"
    """Valid on the server, with other content than here."""
    ABSENT = "gone"
    """Valid in the server's database, and not on its disk."""
    CHANGED = "changed"
    """Valid in the server's database, and other content than that is on its disk."""


DAMAGES: Final = frozenset({Reason.ABSENT, Reason.CHANGED, Reason.DIFFERENT})
"""Reasons for which a valid path may have to be replaced."""


@dataclass(frozen=True)
class PlannedPath:
    """One path of the closure."""

    info: PathInfo
    reason: Reason


@dataclass(frozen=True)
class Plan:
    """The closure in dependency order, with what has to be done about each path."""

    paths: tuple[PlannedPath, ...]
    replaced: frozenset[Reason] = frozenset()
    """For which of `DAMAGES` paths are sent again, in place of what is there."""

    def having(self, reason: Reason) -> tuple[PathInfo, ...]:
        """The paths with that reason, in dependency order."""
        return tuple(path.info for path in self.paths if path.reason is reason)

    @property
    def missing(self) -> tuple[PathInfo, ...]:
        """What must be sent, in dependency order."""
        sent = {Reason.MISSING, *self.replaced}
        return tuple(path.info for path in self.paths if path.reason in sent)

    @property
    def valid(self) -> frozenset[StorePath]:
        """The paths that the server's database calls valid, whatever is on its disk."""
        return frozenset(p.info.path for p in self.paths if p.reason is not Reason.MISSING)

    @property
    def damaged(self) -> tuple[PlannedPath, ...]:
        """The paths that are not as they should be and are not replaced, in dependency order."""
        return tuple(path for path in self.paths if path.reason in DAMAGES - self.replaced)

    @property
    def missing_bytes(self) -> int:
        """NAR bytes of what must be sent."""
        return sum(info.nar_size for info in self.missing)


def make_plan(
    closure: Sequence[PathInfo],
    valid: Collection[StorePath],
    registered: Mapping[StorePath, PathInfo] = MappingProxyType({}),
    damaged: Mapping[StorePath, Reason] = MappingProxyType({}),
    replaced: frozenset[Reason] = frozenset(),
) -> Plan:
    """Compares a closure (in dependency order) with what the server has.

    `registered` is what the server says of valid paths, and `damaged` what was found on its
    disk, where that was asked; `replaced` are the reasons to send a valid path again.
    """

    def reason(info: PathInfo) -> Reason:
        if info.path not in valid:
            return Reason.MISSING
        if info.path in damaged:
            return damaged[info.path]
        there = registered.get(info.path, info)
        return Reason.VALID if there.nar_hash == info.nar_hash else Reason.DIFFERENT

    return Plan(tuple(PlannedPath(info, reason(info)) for info in closure), replaced)
