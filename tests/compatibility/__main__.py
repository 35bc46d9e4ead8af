"""Generates the tables of `docs/compatibility.md`: `python -m tests.compatibility [RECORDS...]`.

The records in these files are added to the kept ones.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Sequence

from tests.compatibility import page, records


def main(files: Sequence[str]) -> None:
    new = [record for file in files for record in records.read(Path(file))]
    kept = records.merged(records.read(records.KEPT), new)
    records.KEPT.write_text("".join(record.as_line() for record in kept))
    page.PAGE.write_text(page.with_tables(page.PAGE.read_text(), kept))


if __name__ == "__main__":
    main(sys.argv[1:])
