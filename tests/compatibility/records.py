"""One observation of nix_remote with one version of another program.

Stored as sorted lines of JSON, one object per line:

    {"subject": "Nix", "version": "2.34.8", "variant": "Debian testing", "what": "copies",
     "how": "run", "result": "passed", "source": "tests/integration/test_matrix.py"}

Belongs here: the fields and the file. Not: the form of the tables (`page.py`).
"""

from __future__ import annotations

import enum
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Iterable, Mapping, Sequence

KEPT: Final = Path(__file__).resolve().parents[2] / "docs" / "compatibility.jsonl"
"""The records that the tables are made from."""


class How(enum.Enum):
    """How an observation was made, the strongest first."""

    RUN = "run"
    """With the real program of that version."""
    REPLAYED = "replayed"
    """With a program that answers as that version does, in front of another version."""
    READ = "read"
    """From the published source or documentation of that version. Nothing was run."""


class Result(enum.Enum):
    PASSED = "passed"
    FAILED = "failed"


@dataclass(frozen=True)
class Record:
    """An observation."""

    subject: str
    """The program, by its own name: `Nix`, `Lix`, `Bazel`, `OpenSSH`, `Buildbarn`."""
    version: str
    what: str
    """What was tried, as a short noun phrase: `copies`, `toolchain examples`."""
    how: How
    result: Result = Result.PASSED
    variant: str = ""
    """What sets this version apart: `Debian 12`, `defaults of Bazel 9`. Empty: nothing."""
    source: str = ""
    """The file of the test, or what was read."""

    @property
    def key(self) -> tuple[str, str, str, str]:
        """Of two records with the same key, the later one replaces the earlier one."""
        return (self.subject, self.version, self.variant, self.what)

    def as_line(self) -> str:
        fields = {**vars(self), "how": self.how.value, "result": self.result.value}
        return json.dumps({name: value for name, value in fields.items() if value}) + "\n"


def from_fields(fields: Mapping[str, str]) -> Record:
    """From the object of one line. Raises `TypeError` or `ValueError` for any other fields."""
    how, result = How(fields.get("how")), Result(fields.get("result"))
    return Record(**{**fields, "how": how, "result": result})  # type: ignore[arg-type]


def read(path: Path) -> list[Record]:
    """Every record of a file, in its order."""
    return [from_fields(json.loads(line)) for line in path.read_text().splitlines() if line]


def append(path: Path, records: Iterable[Record]) -> None:
    """Adds records to a file; one write per record, so that several processes may do so."""
    with path.open("a") as file:
        for record in records:
            file.write(record.as_line())
            file.flush()


def merged(kept: Sequence[Record], new: Sequence[Record]) -> list[Record]:
    """Kept records and new ones, sorted; of those with the same key, the last one.

    A new record that a weaker way of observing gave does not replace a stronger one; a
    failure always counts, and replaces a success of the same run.
    """
    best: dict[tuple[str, str, str, str], Record] = {record.key: record for record in kept}
    seen: dict[tuple[str, str, str, str], Record] = {}
    for record in new:
        earlier = seen.get(record.key)
        if earlier is not None and earlier.result is Result.FAILED and earlier.how is record.how:
            continue
        seen[record.key] = record
        former = best.get(record.key)
        if former is None or _strength(record) >= _strength(former):
            best[record.key] = record
    return sorted(best.values(), key=_order)


def version_order(version: str) -> tuple[tuple[int, ...], str]:
    """Sorts versions by their numbers: `2.8` before `2.26`."""
    numbers = []
    for part in version.split("."):
        if not part.isascii() or not part.isdecimal():
            break
        numbers.append(int(part))
    return tuple(numbers), version


def _strength(record: Record) -> int:
    return -list(How).index(record.how)


def _order(record: Record) -> tuple[object, ...]:
    return (record.subject, version_order(record.version), record.variant, record.what)
