"""The tables of `docs/compatibility.md`: one per subject, made from records. Pure."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Final, Iterator, Sequence

from tests.compatibility.records import How, Record, Result, version_order

PAGE: Final = Path(__file__).resolve().parents[2] / "docs" / "compatibility.md"

BEGIN: Final = "<!-- Made by python -m tests.compatibility: do not edit. -->"
END: Final = "<!-- End of what is made. -->"

_FIRST: Final = ("Nix", "Lix", "Determinate Nix", "Bazel", "rules_nixpkgs", "OpenSSH", "Python")
"""Subjects in the order in which they are read; the others follow by name."""

_HEAD: Final = "| Version | Run | Replayed | Read |\n|---|---|---|---|\n"


def with_tables(page: str, records: Sequence[Record]) -> str:
    """The page with its tables made again. Raises `ValueError` if the marks are not there."""
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{PAGE.name} has no place for the tables: {BEGIN} … {END}")
    return f"{before}{BEGIN}\n\n{tables(records)}\n{END}{after}"


def tables(records: Sequence[Record]) -> str:
    """One table per subject, with one line per version."""
    subjects = sorted({record.subject for record in records}, key=_subject_order)
    return "\n".join(
        f"### {subject}\n\n{_HEAD}{''.join(_lines(subject, records))}" for subject in subjects
    )


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
