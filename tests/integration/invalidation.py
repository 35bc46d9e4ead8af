"""A program that makes a path invalid on a server, as a collector does, whatever keeps the path."""

INVALIDATE = """
import sqlite3, sys
database = sqlite3.connect("/nix/var/nix/db/db.sqlite", timeout=20)
with database:
    database.execute("pragma foreign_keys = on")
    found = database.execute("select id from ValidPaths where path = ?", sys.argv[1:])
    (number,) = found.fetchone()
    database.execute("delete from Refs where referrer = ?", (number,))
    database.execute("delete from ValidPaths where id = ?", (number,))
"""
"""For `python3 -c`, with the path as its argument. Nothing may refer to the path."""
