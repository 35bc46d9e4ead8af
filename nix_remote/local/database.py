"""The fast way to a closure: Nix's own SQLite database, read-only.

Two to three milliseconds for hundreds of paths, where any Nix process takes
thirty to sixty. Only used when it is the ordinary store of this machine and
the schema is the one known here (10: Nix 2.8 to 2.34 at least); otherwise
`DatabaseUnusable`, and another way is taken.

Never opened with `immutable=1`: that ignores what Nix has written but not
yet merged into the main file.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Final, Iterable
from urllib.parse import quote

from nix_remote.store.paths import PathInfo, StorePath, parse_nar_hash, parse_store_path

_SCHEMA: Final = "10"
_BUSY_SECONDS: Final = 10

_CLOSURE: Final = """
    WITH RECURSIVE closure(id) AS (
        SELECT ValidPaths.id FROM ValidPaths JOIN roots ON ValidPaths.path = roots.path
        UNION
        SELECT reference FROM Refs JOIN closure ON referrer = closure.id
    )
"""
_INFOS: Final = (
    _CLOSURE
    + """
    SELECT id, path, hash, narSize, deriver, sigs, ca
    FROM ValidPaths WHERE id IN (SELECT id FROM closure)
"""
)
_REFERENCES: Final = (
    _CLOSURE + "SELECT referrer, reference FROM Refs WHERE referrer IN (SELECT id FROM closure)"
)


class DatabaseUnusable(Exception):
    """The database cannot be read this way, or it is not the one we know."""


def closure_infos(state_directory: Path, roots: Iterable[StorePath]) -> dict[StorePath, PathInfo]:
    """What is registered of every path in the closure of `roots`.

    A root that is not valid is simply not in the result.
    """
    folder = state_directory / "db"
    try:
        schema = (folder / "schema").read_text().strip()
        if schema != _SCHEMA:
            raise DatabaseUnusable(f"{folder} has schema {schema}, not {_SCHEMA}")
        location = f"file:{quote(str(folder / 'db.sqlite'))}?mode=ro"
        with closing(sqlite3.connect(location, uri=True, timeout=_BUSY_SECONDS)) as database:
            return _read(database, roots)
    except (OSError, sqlite3.Error, ValueError) as error:
        raise DatabaseUnusable(f"{folder}: {error}") from None


def _read(database: sqlite3.Connection, roots: Iterable[StorePath]) -> dict[StorePath, PathInfo]:
    database.execute("PRAGMA temp_store = MEMORY")
    database.execute("CREATE TEMPORARY TABLE roots (path TEXT)")
    database.executemany("INSERT INTO temp.roots VALUES (?)", ((root,) for root in roots))
    # Infos and references must be of one moment. (Inserting began a transaction.)
    rows = database.execute(_INFOS).fetchall()
    paths = {row[0]: parse_store_path(row[1]) for row in rows}
    references: dict[int, list[StorePath]] = {number: [] for number in paths}
    for referrer, reference in database.execute(_REFERENCES):
        references[referrer].append(paths[reference])
    infos = {}
    for number, _, nar_hash, nar_size, deriver, signatures, content_address in rows:
        infos[paths[number]] = PathInfo(
            path=paths[number],
            nar_hash=parse_nar_hash(nar_hash),
            nar_size=nar_size,
            references=tuple(sorted(references[number])),
            deriver=parse_store_path(deriver) if deriver else None,
            signatures=tuple((signatures or "").split()),
            content_address=content_address or "",
        )
    return infos
