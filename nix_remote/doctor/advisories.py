"""Checks Nix on the server for published vulnerabilities, by its version. Pure."""

from __future__ import annotations

from typing import Final

from nix_remote.doctor.finding import Finding, ok, unknown, warning
from nix_remote.protocol.advisories import Advisory, affecting
from nix_remote.protocol.implementations import Implementation, Kind, from_sentence

LAYER: Final = "nix"


def judge(printed: str) -> list[Finding]:
    """The findings for the output of `VERSION_COMMAND` on the server."""
    nix = from_sentence(printed)
    if nix is None:
        text = "the server does not report the version of Nix: its dispatcher may be too old"
        return [unknown(LAYER, "advisories", text)]
    found = affecting(nix)
    if not found:
        text = f"{nix} has none of the vulnerabilities known in November 2026"
        return [ok(LAYER, "advisories", text)]
    return [
        warning(
            LAYER,
            "advisories",
            f"{nix}, unless it is patched: users of the daemon can {each.consequence}: {each.name}",
            f"update Nix on the server to {_remedy(each, nix)}; a distribution may patch a package "
            "and keep its version: see its changelog (apt changelog nix-bin)",
        )
        for each in found
    ]


def _remedy(advisory: Advisory, nix: Implementation) -> str:
    """The nearest release that has the fix."""
    kind = nix.kind if nix.kind in advisory.fixed else Kind.NIX
    version = nix.version if kind is nix.kind else (nix.upstream or nix.version)
    nearest = next(each for each in sorted(advisory.fixed[kind]) if each > version)
    return f"{kind.value} {'.'.join(map(str, nearest))} or later"
