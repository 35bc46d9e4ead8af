"""The result of a check. Pure."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from nix_remote.errors import NixRemoteError


class Status(enum.Enum):
    """The status of what was checked."""

    OK = "ok"
    WARNING = "warning"
    """It works, but may fail later or for other users."""
    BROKEN = "broken"
    UNKNOWN = "unknown"
    """It could not be checked; it may still work."""


@dataclass(frozen=True)
class Finding:
    """The result of one check."""

    layer: str
    """The layer that was checked: `ssh`, `nix`, `disk`, `nfs`, `bazel`."""
    subject: str
    status: Status
    text: str
    fix: str = ""
    """What to do, with the command; empty if nothing is wrong."""


def ok(layer: str, subject: str, text: str) -> Finding:
    """A check that passed."""
    return Finding(layer, subject, Status.OK, text)


def unknown(layer: str, subject: str, why: str) -> Finding:
    """A check that could not run."""
    return Finding(layer, subject, Status.UNKNOWN, why)


def warning(layer: str, subject: str, text: str, fix: str) -> Finding:
    """A check that found a problem that does not break anything now."""
    return Finding(layer, subject, Status.WARNING, text, fix)


def broken(layer: str, subject: str, text: str, fix: str) -> Finding:
    """A check that failed."""
    return Finding(layer, subject, Status.BROKEN, text, fix)


def from_error(layer: str, subject: str, error: NixRemoteError) -> Finding:
    """A check that failed with an error, as a copy would."""
    why = f": {error.why}" if error.why else ""
    return broken(layer, subject, f"[{error.code}] {error.what}{why}", error.fix)
