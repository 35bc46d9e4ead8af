"""Findings of `doctor` and `verify`, for people and for programs."""

from __future__ import annotations

from typing import Final, Sequence, TypedDict, final

from nix_remote.cli.result import Result
from nix_remote.doctor.finding import Finding, Status

FOUND_BROKEN: Final = 1
"""Exit status if all checks were done and at least one finding is broken."""

_MARKS: Final = {
    Status.OK.value: "✓",
    Status.WARNING.value: "!",
    Status.BROKEN.value: "✗",
    Status.UNKNOWN.value: "-",
}


class FindingData(TypedDict):
    """One finding."""

    layer: str
    subject: str
    status: str
    text: str
    fix: str


@final
class FindingsData(TypedDict):
    """The data of a command that checks things."""

    host: str
    findings: list[FindingData]


def data(host: str, found: Sequence[Finding]) -> FindingsData:
    """The data of these findings."""
    described: list[FindingData] = [
        {
            "layer": each.layer,
            "subject": each.subject,
            "status": each.status.value,
            "text": each.text,
            "fix": each.fix,
        }
        for each in found
    ]
    return {"host": host, "findings": described}


def exit_status(found: Sequence[Finding]) -> int:
    """The exit status of a command with these findings."""
    return FOUND_BROKEN if any(each.status is Status.BROKEN for each in found) else 0


def result(command: str, host: str, found: Sequence[Finding]) -> Result[FindingsData]:
    """The result of a command with these findings."""
    return Result(command, data(host, found), exit_status(found))


def output(checked: FindingsData) -> str:
    """One line for each finding, and the fix below it."""
    lines = []
    for each in checked["findings"]:
        what = f"{each['layer']:<5}  {each['subject']}: {each['text']}"
        lines.append(f"{_MARKS[each['status']]} {what}")
        lines += [f"           fix: {line}" for line in each["fix"].splitlines()]
    return "\n".join(lines) + "\n"


def conclude(checked: FindingsData) -> str:
    """The number of findings of each kind."""
    statuses = [each["status"] for each in checked["findings"]]
    counts = [(statuses.count(status), mark) for status, mark in _MARKS.items()]
    shown = ", ".join(f"{count} {mark}" for count, mark in counts if count)
    return f"{checked['host']}: {shown}"
