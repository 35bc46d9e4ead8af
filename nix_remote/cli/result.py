"""The outcome of a command as JSON: a versioned envelope that programs can rely on."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Final, Mapping, Optional

from nix_remote.copy.engine import CopyResult
from nix_remote.errors import NixRemoteError

VERSION: Final = 1
"""Raised when a field changes its meaning or goes; new fields do not raise it."""


@dataclass(frozen=True)
class Result:
    """What a command did, or why it did not."""

    command: str
    data: Mapping[str, object] = field(default_factory=dict)
    error: Optional[NixRemoteError] = None
    exit_status: int = 0
    """Of a command that did what it was to do; an error has its own."""
    files: Mapping[str, str] = field(default_factory=dict)
    """Files that belong to it: name -> text."""

    def to_json(self) -> str:
        """One line."""
        envelope: dict[str, object] = {
            "version": VERSION,
            "command": self.command,
            "status": "success" if self.error is None else "error",
        }
        if self.error is None:
            envelope["data"] = dict(self.data)
        else:
            envelope["error"] = {
                "code": self.error.code,
                "what": self.error.what,
                "why": self.error.why,
                "fix": self.error.fix,
            }
        return json.dumps(envelope)


def describe_copy(host: str, result: CopyResult) -> dict[str, object]:
    """The data of a finished copy."""
    return {
        "host": host,
        "closure": [info.path for info in result.closure],
        "sent": list(result.sent),
        "sent_bytes": result.sent_bytes,
        "roots": dict(result.roots),
    }
