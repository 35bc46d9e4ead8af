"""The outcome of a command, and its JSON: a versioned envelope that programs can rely on."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Final, Generic, Mapping, TypedDict, TypeVar

from nix_remote.copy.engine import CopyResult
from nix_remote.errors import NixRemoteError

VERSION: Final = 1
"""Raised when a field changes its meaning or is removed; new fields do not raise it."""

Data = TypeVar("Data", bound=Mapping[str, object])
"""The fields of a command's JSON output, a `TypedDict`."""


@dataclass(frozen=True)
class Result(Generic[Data]):
    """What a command did."""

    command: str
    data: Data
    exit_status: int = 0
    files: Mapping[str, str] = field(default_factory=dict)
    """Files that the command writes: name -> text."""

    def to_json(self) -> str:
        """One line."""
        return _envelope(self.command, "success", "data", dict(self.data))


@dataclass(frozen=True)
class Failure:
    """Why a command failed."""

    command: str
    error: NixRemoteError

    def to_json(self) -> str:
        """One line."""
        error = {
            "code": self.error.code,
            "what": self.error.what,
            "why": self.error.why,
            "fix": self.error.fix,
        }
        return _envelope(self.command, "error", "error", error)


def _envelope(command: str, status: str, field_name: str, content: Mapping[str, object]) -> str:
    return json.dumps(
        {"version": VERSION, "command": command, "status": status, field_name: content}
    )


class CopyData(TypedDict):
    """The data of a finished copy."""

    host: str
    closure: list[str]
    sent: list[str]
    sent_bytes: int
    roots: dict[str, str]


def describe_copy(host: str, result: CopyResult) -> CopyData:
    """The data of a finished copy."""
    return {
        "host": host,
        "closure": [info.path for info in result.closure],
        "sent": list(result.sent),
        "sent_bytes": result.sent_bytes,
        "roots": dict(result.roots.items()),
    }
