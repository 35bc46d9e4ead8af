"""The tables of `docs/compatibility.md`: one per subject, generated from records.

Also the protocols of each release of Nix, from `lab/implementations/releases.py`. Pure.
"""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Final, Iterator, Sequence

from lab.implementations.releases import SPEECHES
from tests.compatibility.records import How, Record, Result, version_order

PAGE: Final = Path(__file__).resolve().parents[2] / "docs" / "compatibility.md"

BEGIN: Final = "<!-- Made by python -m tests.compatibility: do not edit. -->"
END: Final = "<!-- End of what is made. -->"

_FIRST: Final = ("Nix", "Lix", "Determinate Nix", "Bazel", "rules_nixpkgs", "OpenSSH", "Python")
"""Subjects in the order in which they are read; the others follow by name."""

_HEAD: Final = "| Version | Run | Replayed | Read |\n|---|---|---|---|\n"


_RELEASES_HEAD: Final = (
    "### What each release speaks\n\n"
    "| From | Worker protocol | Serve protocol"
    " | The greeting of an ordinary account's `nix-daemon --stdio` comes from"
    " | Durable roots are made by |\n"
    "|---|---|---|---|---|\n"
)


def with_tables(page: str, records: Sequence[Record]) -> str:
    """The page with its tables made again. Raises `ValueError` if the marks are not there."""
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{PAGE.name} has no place for the tables: {BEGIN} … {END}")
    return f"{before}{BEGIN}\n\n{tables(records)}\n{_releases()}\n{END}{after}"


def tables(records: Sequence[Record]) -> str:
    """One table per subject, with one line per version."""
    subjects = sorted({record.subject for record in records}, key=_subject_order)
    return "\n".join(
        f"### {subject}\n\n{_HEAD}{''.join(_lines(subject, records))}" for subject in subjects
    )


def _releases() -> str:
    """What each release speaks: one line per row of the table of releases."""
    lines = [
        f"| {kind.value} {'.'.join(map(str, first))} | {spoken.worker} | {spoken.serve} |"
        f" {'the program itself' if spoken.decodes else 'the daemon'} |"
        f" {'the worker protocol' if spoken.decodes else 'a command, `nix-store`'} |\n"
        for kind, since in SPEECHES.items()
        for first, spoken in since.items()
    ]
    return f"{_RELEASES_HEAD}{''.join(lines)}"


def _lines(subject: str, records: Sequence[Record]) -> Iterator[str]:
    def version(record: Record) -> tuple[object, ...]:
        return (version_order(record.version), record.variant)

    mine = sorted((each for each in records if each.subject == subject), key=version)
    for _, group in itertools.groupby(mine, version):
        same = list(group)
        variant = f" ({same[0].variant})" if same[0].variant else ""
        cells = [_cell([record for record in same if record.how is how]) for how in How]
        yield f"| {same[0].version}{variant} | {' | '.join(cells)} |\n"


def _cell(records: Sequence[Record]) -> str:
    return ", ".join(
        record.what if record.result is Result.PASSED else f"**fails:** {record.what}"
        for record in sorted(records, key=lambda each: each.what)
    )


def _subject_order(subject: str) -> tuple[int, str]:
    return (_FIRST.index(subject) if subject in _FIRST else len(_FIRST), subject)
