"""What a look at one thing comes to. Pure."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from nix_remote.errors import NixRemoteError


class Status(enum.Enum):
    """How it is."""

    OK = "ok"
    WARNING = "warning"
    """It works, but not for ever, or not for everybody."""
    BROKEN = "broken"
    UNKNOWN = "unknown"
    """It could not be looked at, which need not mean anything."""


@dataclass(frozen=True)
class Finding:
    """A look at one thing."""

    layer: str
    """Where it belongs: `ssh`, `nix`, `disk`, `nfs`, `bazel`."""
    subject: str
    status: Status
    text: str
    fix: str = ""
    """What to do, with the command; empty where nothing is wrong."""


def ok(layer: str, subject: str, text: str) -> Finding:
    """It is as it should be."""
    return Finding(layer, subject, Status.OK, text)


def unknown(layer: str, subject: str, why: str) -> Finding:
    """It could not be looked at."""
    return Finding(layer, subject, Status.UNKNOWN, why)


def warning(layer: str, subject: str, text: str, fix: str) -> Finding:
    """It works for now."""
    return Finding(layer, subject, Status.WARNING, text, fix)


def broken(layer: str, subject: str, text: str, fix: str) -> Finding:
    """It does not work."""
    return Finding(layer, subject, Status.BROKEN, text, fix)


def from_error(layer: str, subject: str, error: NixRemoteError) -> Finding:
    """It does not work, and a copy would say so in these words."""
    why = f": {error.why}" if error.why else ""
    return broken(layer, subject, f"[{error.code}] {error.what}{why}", error.fix)
