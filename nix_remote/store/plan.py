"""The plan of a copy: a pure value that states for each path whether it is sent, and why."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from types import MappingProxyType
from typing import Collection, Final, Mapping, Sequence

from nix_remote.store.paths import PathInfo, StorePath


class Reason(enum.Enum):
    """The reason why a path is sent or not."""

    MISSING = "missing"
    VALID = "valid"
    ON_THE_WAY = "on-the-way"
    """Another invocation sends it in the same copy."""
    DIFFERENT = "different"
    """Valid on the server, with content that differs from the local copy."""
    ABSENT = "gone"
    """Valid in the server's database, but not on its disk."""
    CHANGED = "changed"
    """Valid in the server's database, but its content on the disk has another hash."""


DAMAGES: Final = frozenset({Reason.ABSENT, Reason.CHANGED, Reason.DIFFERENT})
"""Reasons for which a valid path may have to be replaced."""


@dataclass(frozen=True)
class PlannedPath:
    """One path of the closure."""

    info: PathInfo
    reason: Reason


@dataclass(frozen=True)
class Plan:
    """The closure in dependency order, with the reason for each path."""

    paths: tuple[PlannedPath, ...]
    replaced: frozenset[Reason] = frozenset()
    """The reasons, of `DAMAGES`, for which a valid path is replaced."""

    def having(self, reason: Reason) -> tuple[PathInfo, ...]:
        """The paths with that reason, in dependency order."""
        return tuple(path.info for path in self.paths if path.reason is reason)

    @property
    def missing(self) -> tuple[PathInfo, ...]:
        """The paths to be sent, in dependency order."""
        sent = {Reason.MISSING, *self.replaced}
        return tuple(path.info for path in self.paths if path.reason in sent)

    @property
    def valid(self) -> frozenset[StorePath]:
        """The paths that are valid in the server's database."""
        return frozenset(p.info.path for p in self.paths if p.reason is not Reason.MISSING)

    @property
    def damaged(self) -> tuple[PlannedPath, ...]:
        """The damaged paths that are not replaced, in dependency order."""
        return tuple(path for path in self.paths if path.reason in DAMAGES - self.replaced)

    @property
    def missing_bytes(self) -> int:
        """NAR bytes of the paths to be sent."""
        return sum(info.nar_size for info in self.missing)


def make_plan(
    closure: Sequence[PathInfo],
    valid: Collection[StorePath],
    registered: Mapping[StorePath, PathInfo] = MappingProxyType({}),
    damaged: Mapping[StorePath, Reason] = MappingProxyType({}),
    replaced: frozenset[Reason] = frozenset(),
) -> Plan:
    """Compares a closure (in dependency order) with the server's store.

    `registered` has the server's infos of valid paths, and `damaged` the damage on its disk, if
    they were queried; `replaced` are the reasons for which a valid path is replaced.
    """

    def reason(info: PathInfo) -> Reason:
        if info.path not in valid:
            return Reason.MISSING
        if info.path in damaged:
            return damaged[info.path]
        on_server = registered.get(info.path, info)
        return Reason.VALID if on_server.nar_hash == info.nar_hash else Reason.DIFFERENT

    return Plan(tuple(PlannedPath(info, reason(info)) for info in closure), replaced)
