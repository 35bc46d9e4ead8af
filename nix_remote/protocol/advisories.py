"""Published flaws of Nix's daemon that matter to a server which takes copies.

An account of ours may use the daemon: a flaw that lets every user of the daemon become root makes
the key of that account a key of root's. A version is compared with the advisory's; distributions
patch older versions and keep the number, so what is found is a warning with what to check.

The table is from the CVE records (github.com/CVEProject/cvelistV5), Nix's advisories
(github.com/NixOS/nix/security/advisories), Lix's (lix.systems/blog) and the release notes of
Determinate Nix (github.com/DeterminateSystems/nix-src/releases), as of November 2026. Pure.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, Mapping, Sequence

from nix_remote.protocol.implementations import Implementation, Kind, Version

Releases = tuple[Version, ...]
"""The first release of each branch that has a change; later branches have it, too."""

_ALWAYS: Final[Releases] = ((0,),)


@dataclass(frozen=True)
class Advisory:
    """A flaw, and which versions have it."""

    name: str
    consequence: str
    """What a user of the daemon can do."""
    fixed: Mapping[Kind, Releases]
    """Implementations that are not named never had it."""
    introduced: Mapping[Kind, Releases] = field(default_factory=dict)
    """Those that are not named have always had it."""

    def affects(self, nix: Implementation) -> bool:
        """Whether that version has the flaw, going by its number."""
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
    """The flaws of a version, going by its number."""
    return [each for each in ADVISORIES if each.affects(nix)]


def _has(version: Version, releases: Releases) -> bool:
    """Whether a version has what came with these releases."""
    same_branch = [each for each in releases if len(each) > 2 and each[:2] == version[:2]]
    return version >= (same_branch[0] if same_branch else max(releases))
