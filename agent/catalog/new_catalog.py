"""Which migrations a catalog lacks, and the tables of a new one, without sqlite-utils.

`schema.sql` is what the migrations of schema.py build, in one text; `scripts/schema` writes it. Migrations need sqlite-utils,
whose import costs each process 0.1 s and 11 MB, so only a catalog of an earlier version loads them.
"""

from __future__ import annotations

import re
import sqlite3
from pathlib import Path

SCHEMA_FILE = Path(__file__).with_name("schema.sql")
_BETWEEN_STATEMENTS = ";\n"
_MIGRATION_NAME = re.compile(r"'(m\d{3}_\w+)'")


def list_pending(connection: sqlite3.Connection) -> list[str]:
    """Return the names of the migrations that were not applied to this catalog yet, in order."""
    known = _MIGRATION_NAME.findall(SCHEMA_FILE.read_text(encoding="utf-8"))
    if not _has_table(connection, "_sqlite_migrations"):
        return known
    applied = {
        row[0] for row in connection.execute("select name from _sqlite_migrations where migration_set = 'site-agent'")
    }
    return [name for name in known if name not in applied]


def is_empty(connection: sqlite3.Connection) -> bool:
    """Return whether the database has no tables at all."""
    return connection.execute("select 1 from sqlite_master limit 1").fetchone() is None


def create_tables(connection: sqlite3.Connection) -> None:
    """Create all tables, and record the migrations as applied; call inside a transaction."""
    # one statement at a time: executescript would commit the transaction
    for statement in SCHEMA_FILE.read_text(encoding="utf-8").split(_BETWEEN_STATEMENTS):
        connection.execute(statement)


def _has_table(connection: sqlite3.Connection, name: str) -> bool:
    found = connection.execute("select 1 from sqlite_master where type = 'table' and name = ?", [name])
    return found.fetchone() is not None
