"""Published vulnerabilities of the Nix daemon that matter to a server which receives copies.

The account that we log in to may use the daemon. A vulnerability by which a user of the daemon
becomes root gives root to the holder of that account's key. The check compares version numbers;
distributions patch older versions and keep the number, so a match is a warning.

The table is from the CVE records (github.com/CVEProject/cvelistV5), Nix's advisories
(github.com/NixOS/nix/security/advisories), Lix's (lix.systems/blog) and the release notes of
Determinate Nix (github.com/DeterminateSystems/nix-src/releases), as of November 2026. Pure.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, Mapping, Sequence

from nix_remote.protocol.implementations import Implementation, Kind, Version

Releases = tuple[Version, ...]
"""The first release of each branch that has a change; later branches have it as well."""

_ALWAYS: Final[Releases] = ((0,),)


@dataclass(frozen=True)
class Advisory:
    """A vulnerability, and the affected versions."""

    name: str
    consequence: str
    """What it lets a user of the daemon do."""
    fixed: Mapping[Kind, Releases]
    """Implementations that are missing here were never affected."""
    introduced: Mapping[Kind, Releases] = field(default_factory=dict)
    """Implementations that are missing here were always affected."""

    def affects(self, nix: Implementation) -> bool:
        """Whether that version is affected, by its number."""
        kind, version = nix.kind, nix.version
        if kind not in self.fixed and nix.upstream is not None:
            kind, version = Kind.NIX, nix.upstream
        if kind not in self.fixed:
            return False
        introduced = self.introduced.get(kind, _ALWAYS)
        return _has(version, introduced) and not _has(version, self.fixed[kind])


ADVISORIES: Final = (
    Advisory(
        "CVE-2026-110450",
        "replace the content of any store path, and so become root",
        {
            Kind.NIX: ((2, 28, 8), (2, 30, 6), (2, 31, 6), (2, 34, 9), (2, 35, 3)),
            Kind.LIX: ((2, 95, 4),),
            Kind.DETERMINATE: ((3, 23, 2),),
        },
    ),
    Advisory(
        "CVE-2026-44028 (GHSA-vh5x-56v6-4368)",
        "run code as the daemon, which is root",
        {
            Kind.NIX: (
                *((2, 28, 7), (2, 29, 4), (2, 30, 5), (2, 31, 5)),
                *((2, 32, 8), (2, 33, 6), (2, 34, 7)),
            ),
            Kind.LIX: ((2, 93, 4), (2, 94, 2), (2, 95, 2)),
            Kind.DETERMINATE: ((3, 19, 1),),
        },
        {Kind.NIX: ((2, 24, 4),), Kind.LIX: ((2, 93),)},
    ),
    Advisory(
        "CVE-2026-39860 (GHSA-g3g9-5vj6-r3gj)",
        "write files as root, through a build",
        {
            Kind.NIX: (
                *((2, 28, 6), (2, 29, 3), (2, 30, 4), (2, 31, 4)),
                *((2, 32, 7), (2, 33, 4), (2, 34, 5)),
            ),
            Kind.DETERMINATE: ((3, 17, 3),),
        },
        {Kind.NIX: ((2, 18, 2), (2, 19, 4), (2, 20, 5), (2, 21))},
    ),
    Advisory(
        "CVE-2025-52992, CVE-2025-46415 and CVE-2025-46416",
        "change the store and files of root's, through a build",
        {
            Kind.NIX: ((2, 24, 15), (2, 26, 4), (2, 28, 4), (2, 29, 1)),
            Kind.LIX: ((2, 91, 2), (2, 92, 2), (2, 93, 1)),
        },
    ),
)


def affecting(nix: Implementation) -> Sequence[Advisory]:
    """The advisories that affect a version, by its number."""
    return [each for each in ADVISORIES if each.affects(nix)]


def _has(version: Version, releases: Releases) -> bool:
    """Whether a version has the change of these releases."""
    same_branch = [each for each in releases if len(each) > 2 and each[:2] == version[:2]]
    return version >= (same_branch[0] if same_branch else max(releases))
