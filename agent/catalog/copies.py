"""Daily copies of the database on the box's own disk, and restoring from one when the database is lost.

Segments, looks, figures and alerts are also stored on the drive; accounts, tokens, facts, origins and unacknowledged
messages exist only in the database. Looks are not copied: after years they are most of the database, times KEPT copies.
"""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing, suppress
from datetime import date
from pathlib import Path

from agent.catalog.base import CatalogStore
from agent.core.errors import CatalogError

COPIES_KEPT = 7
_LEFT_OUT = "looks"
_ONLY_HERE = ("accounts", "tokens", "facts", "origins")


def build_copy_path(folder: Path, day: date) -> Path:
    """Return the path for the copy of a day."""
    return folder / f"catalog-{day:%Y%m%d}.db"


def make_copy(store: CatalogStore, folder: Path, day: date) -> Path:
    """Copy the database while others write, and delete the oldest copies beyond KEPT. Raises CatalogError.

    Uses a connection of its own: copying a database of several years takes minutes, and recorders must not wait for it.
    """
    final = build_copy_path(folder, day)
    part = final.with_suffix(".part")
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        _drop_parts(folder)
        copy_tables(store.path, part)
        part.chmod(0o600)
        part.replace(final)
        for old in sorted(path for path in folder.glob("catalog-*.db") if path != final)[: 1 - COPIES_KEPT]:
            old.unlink()
    except (OSError, sqlite3.Error) as error:
        # a partial copy would use space that a full disk lacks
        with suppress(OSError):
            _drop_parts(folder)
        raise CatalogError("catalog.no_copy", folder=folder, detail=error) from error
    return final


def copy_tables(source: Path, target: Path) -> None:
    """Copy the tables as of one instant, without indexes (restoring inserts into tables that have them)."""
    with closing(sqlite3.connect(target, timeout=10, isolation_level=None)) as copy:
        copy.execute("attach ? as whole", [os.fspath(source)])
        copy.execute("begin")
        tables = copy.execute("select name, sql from whole.sqlite_master where type = 'table'").fetchall()
        for name, made_by in tables:
            if name != _LEFT_OUT and not name.startswith("sqlite_"):
                copy.execute(made_by)
                copy.execute(f'insert into main."{name}" select * from whole."{name}"')  # noqa: S608 - own names
        copy.execute("commit")


def _drop_parts(folder: Path) -> None:
    """Delete partial copies that a power cut or a full disk left behind."""
    for left in folder.glob("catalog-*.part*"):
        left.unlink()


def find_newest_copy(folder: Path, today: date) -> Path | None:
    """Return the newest copy of `today` or before, or None if there is no copy.

    A copy with a future date, left by a clock that was ahead, is returned only if there is no other.
    """
    there = sorted(folder.glob("catalog-*.db"))
    return max((path for path in there if path <= build_copy_path(folder, today)), default=there[-1] if there else None)


def restore_from_copy(store: CatalogStore, file: Path) -> int:
    """Restore from a copy what no drive stores; existing rows are kept. Returns the number of rows inserted.

    From the outbox only messages that are not retained: an old retained message would overwrite a newer one at the broker.
    Raises CatalogError.
    """
    with store.lock:
        connection = store.db
        try:
            connection.execute("attach ? as old", [os.fspath(file)])
            try:
                return _insert(connection)
            finally:
                connection.execute("detach old")
        except sqlite3.Error as error:
            raise CatalogError("catalog.broken", file=file, detail=error) from error


def _insert(connection: sqlite3.Connection) -> int:
    there = {row[0] for row in connection.execute("select name from old.sqlite_master where type = 'table'")}
    before = connection.total_changes
    for name in _ONLY_HERE:
        if name in there:
            # by name: a copy made by an older version lacks columns that were added later
            shared = ", ".join(sorted(_list_columns(connection, "old", name) & _list_columns(connection, "main", name)))
            connection.execute(f"insert or ignore into main.{name} ({shared}) select {shared} from old.{name}")  # noqa: S608
    if "logs" in there:
        # only to name the log before, should a new one begin: the drive knows better which number was the last
        connection.execute(
            "insert or ignore into main.logs select log, cause, number, hash, batch, 0, began_at from old.logs"
        )
    if "statements" in there:
        stated = (
            "log, number, previous, hash, event_id, subject, type, time, data, class_id, date, session, told, made_at"
        )
        connection.execute(
            f"insert or ignore into main.statements ({stated}) select {stated} from old.statements"  # noqa: S608
            " where event_id in (select event_id from old.outbox where retained = 0)"
        )
    columns = "event_id, topic, type, data, retained, created_at, expires_at"
    if "outbox" in there:
        connection.execute(
            f"insert or ignore into main.outbox ({columns}) select {columns} from old.outbox where retained = 0"  # noqa: S608
        )
    return connection.total_changes - before


def _list_columns(connection: sqlite3.Connection, schema: str, table: str) -> set[str]:
    return {row[0] for row in connection.execute("select name from pragma_table_info(?, ?)", [table, schema])}
