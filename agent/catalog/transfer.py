"""Takes a catalog out of a box as a plain file, and into a new one: all tables but looks, which the drives hold."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path

from agent.catalog.base import CatalogStore
from agent.catalog.copies import copy_tables
from agent.core.errors import CatalogError

_MIGRATIONS = "_sqlite_migrations"
_CHANGES = "changes"
# their rows have no number of their own, so a change of one names nothing in another database
_WITHOUT_ID = ("drives", "classes", "attendance", "alerts", "chain", "sign_ins")


def export_tables(store: CatalogStore, file: Path) -> None:
    """Write the tables as of one instant into a new file. Raises CatalogError."""
    try:
        copy_tables(store.path, file)
    except (OSError, sqlite3.Error) as error:
        raise CatalogError("catalog.no_copy", folder=file.parent, detail=error) from error


def import_tables(store: CatalogStore, file: Path) -> None:
    """Fill an empty catalog from such a file; rows that no drive holds yet wait for the journal as before.

    Raises CatalogError, also for a file of a later version.
    """
    with store.lock:
        connection = store.db
        try:
            connection.execute("attach ? as old", [os.fspath(file)])
            connection.execute("begin immediate")
            try:
                _import(connection, file)
                connection.execute("commit")
            finally:
                connection.rollback()  # has no effect after a commit
                connection.execute("detach old")
        except sqlite3.Error as error:
            raise CatalogError("catalog.broken", file=file, detail=error) from error


def _import(connection: sqlite3.Connection, file: Path) -> None:
    known = {row[0] for row in connection.execute("select name from main._sqlite_migrations")}
    later = [row[0] for row in connection.execute("select name from old._sqlite_migrations") if row[0] not in known]
    if later:
        raise CatalogError("catalog.later", file=file, name=later[0])
    tables = [row[0] for row in connection.execute("select name from old.sqlite_master where type = 'table'")]
    for name in tables:
        if name not in (_MIGRATIONS, _CHANGES) and not name.startswith("sqlite_"):
            shared = ", ".join(f'"{column}"' for column in _shared_columns(connection, name))
            connection.execute(f'insert into main."{name}" ({shared}) select {shared} from old."{name}"')  # noqa: S608
    connection.execute("delete from main.changes")
    marks = ", ".join("?" for _ in _WITHOUT_ID)
    connection.execute(
        f"insert into main.changes (name, row) select name, row from old.changes where name not in ({marks}) order by seq",  # noqa: S608
        _WITHOUT_ID,
    )
    waiting = [row[0] for row in connection.execute("select distinct name from old.changes")]
    for name in (name for name in _WITHOUT_ID if name in waiting):
        connection.execute(f"insert into main.changes (name, row) select ?, rowid from main.{name}", [name])  # noqa: S608


def _shared_columns(connection: sqlite3.Connection, table: str) -> list[str]:
    found = [
        {row[0] for row in connection.execute("select name from pragma_table_info(?, ?)", [table, schema])}
        for schema in ("main", "old")
    ]
    return sorted(found[0] & found[1])


def is_sound(file: Path) -> bool:
    """Return whether a file is an undamaged database with the tables of a catalog."""
    try:
        with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as connection:
            whole = connection.execute("pragma quick_check(1)").fetchone()[0] == "ok"
            return whole and connection.execute("select count(*) from changes").fetchone() is not None
    except sqlite3.Error:
        return False
