"""Judgement of copies after a fault: their end, and the paths that the server has."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Sequence

from lab.host import Host

ENDINGS = frozenset({"connection-broken", "server-ended-session"})
"""The errors that a copy may end with when its connection or its server was struck."""


@dataclass
class Findings:
    """The effect of the faults."""

    trials: int = 0
    struck: int = 0
    """Trials in which the fault happened before the copies were over."""
    healed: int = 0
    """Copies that were struck and succeeded all the same, where one is told from the other."""
    failed: int = 0
    """Copies that ended with an error of their own, or were killed."""
    wrong: list[str] = field(default_factory=list)


def codes(text: str) -> set[str]:
    """The error codes in a copy's output."""
    return set(re.findall(r"error\[([a-z-]+)\]", text))


def invalid(server: Host, paths: Sequence[str]) -> list[str]:
    """Those of the paths that the server does not have."""
    checked = server.run(["nix-store", "--check-validity", "--print-invalid", *paths])
    return checked.stdout.split()


def half_done(server: Host, paths: Sequence[str]) -> str:
    """The server's report of valid paths with other than the registered content."""
    absent = invalid(server, paths)
    valid = [path for path in paths if path not in absent]
    if not valid:
        return ""
    verified = server.run(["nix-store", "--verify-path", *valid])
    return "" if verified.status == 0 else verified.text
