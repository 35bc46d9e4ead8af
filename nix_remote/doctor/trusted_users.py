"""Finds a defect of Lix by which an account that nix.conf trusts is not trusted. Pure.

In Lix 2.95.0 to 2.95.3 a line `trusted-users` in nix.conf overrides `extra-trusted-users`, in any
order of the lines (lix-project/lix, issue 1183; by the source of 2.95.3 and a test in its main
branch).
"""

from __future__ import annotations

from typing import Final

from nix_remote.doctor.advisories import LAYER
from nix_remote.doctor.finding import Finding, warning
from nix_remote.protocol.implementations import Kind, from_sentence

_FIRST: Final = (2, 95)
_LAST: Final = (2, 95, 3)


def judge(printed: str, *, refused: bool) -> list[Finding]:
    """By the output of `VERSION_COMMAND`, and whether the server rejected our path."""
    nix = from_sentence(printed)
    if not refused or nix is None or nix.kind is not Kind.LIX:
        return []
    if not _FIRST <= nix.version <= _LAST:
        return []
    return [
        warning(
            LAYER,
            "trusted-users",
            f"{nix} ignores extra-trusted-users if nix.conf sets trusted-users as well",
            "to trust the account, name all users in one line of nix.conf on the server:"
            "\ntrusted-users = root ACCOUNT\nthen: systemctl restart nix-daemon",
        )
    ]
