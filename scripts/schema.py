"""Writes the tables of a new catalog from the migrations. `build_schema` is what the test compares."""

from __future__ import annotations

import sqlite3
import sys
from contextlib import closing
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from agent.catalog import new_catalog, schema  # noqa: E402 - the repository's own

# as sqlite-utils writes the time: 2026-07-04 12:00:00.123000+00:00
_NOW = "strftime('%Y-%m-%d %H:%M:%f000+00:00', 'now')"


def build_schema() -> str:
    """Apply all migrations to an empty database; return SQL that builds the same, one statement after another."""
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        schema.apply_pending(connection)
        made = connection.execute(
            "select sql from sqlite_master where sql is not null and name not like 'sqlite_%' order by rowid"
        ).fetchall()
        names = connection.execute("select migration_set, name from _sqlite_migrations order by id").fetchall()
    recorded = (
        f"insert into _sqlite_migrations (migration_set, name, applied_at) values ('{group}', '{name}', {_NOW})"  # noqa: S608
        for group, name in names
    )
    return ";\n".join([*(text for (text,) in made), *recorded]) + "\n"


if __name__ == "__main__":
    new_catalog.SCHEMA_FILE.write_text(build_schema(), encoding="utf-8")
