"""Findings of `doctor` and `verify`, for people and for programs."""

from __future__ import annotations

from dataclasses import asdict
from typing import Final, Sequence

from nix_remote.cli.result import Result
from nix_remote.doctor.finding import Finding, Status

FOUND_BROKEN: Final = 1
"""Exit status: everything was looked at, and something is broken."""

_MARKS: Final = {
    Status.OK.value: "✓",
    Status.WARNING.value: "!",
    Status.BROKEN.value: "✗",
    Status.UNKNOWN.value: "-",
}


def result(command: str, host: str, found: Sequence[Finding]) -> Result:
    """The result of a command that looked at things."""
    described = [{**asdict(each), "status": each.status.value} for each in found]
    broken = any(each.status is Status.BROKEN for each in found)
    data = {"host": host, "findings": described}
    return Result(command, data, exit_status=FOUND_BROKEN if broken else 0)


def output(looked: Result) -> str:
    """A line for each, and the fix below it."""
    lines = []
    for each in _findings(looked):
        what = f"{each['layer']:<5}  {each['subject']}: {each['text']}"
        lines.append(f"{_MARKS[each['status']]} {what}")
        lines += [f"           fix: {line}" for line in each["fix"].splitlines()]
    return "\n".join(lines) + "\n"


def conclude(looked: Result) -> str:
    """How many of each kind."""
    statuses = [each["status"] for each in _findings(looked)]
    counts = [(statuses.count(status), mark) for status, mark in _MARKS.items()]
    shown = ", ".join(f"{count} {mark}" for count, mark in counts if count)
    return f"{looked.data['host']}: {shown}"


def _findings(looked: Result) -> list[dict[str, str]]:
    found = looked.data["findings"]
    assert isinstance(found, list)
    return found
