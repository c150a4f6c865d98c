"""Daily copies of the database on the box's own disk, and what is taken back from one when the database is lost.

A drive remembers its segments, looks, figures and alerts; accounts, tokens, facts, origins and alerts not yet acknowledged
stand only here. Looks are left out: after years they are nearly all of the database, which KEPT copies would multiply.
"""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing, suppress
from datetime import date
from pathlib import Path

from agent.catalog.base import Store
from agent.errors import CatalogError

KEPT = 7
_LEFT_OUT = "looks"
_ONLY_HERE = ("accounts", "tokens", "facts", "origins")


def of_day(folder: Path, day: date) -> Path:
    """Where the copy of a day lies, if there is one."""
    return folder / f"catalog-{day:%Y%m%d}.db"


def make(store: Store, folder: Path, day: date) -> Path:
    """Copy the database as of now, while others write; the oldest copies beyond KEPT go. Raises CatalogError.

    By a connection of its own: a database of years takes minutes, for which no recorder may wait.
    """
    final = of_day(folder, day)
    part = final.with_suffix(".part")
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        _drop_parts(folder)
        _copy(store.path, part)
        part.chmod(0o600)
        part.replace(final)
        for old in sorted(path for path in folder.glob("catalog-*.db") if path != final)[: 1 - KEPT]:
            old.unlink()
    except (OSError, sqlite3.Error) as error:
        # half a copy would take the room that a full disk lacks
        with suppress(OSError):
            _drop_parts(folder)
        raise CatalogError("catalog.no_copy", folder=folder, detail=error) from error
    return final


def _copy(source: Path, target: Path) -> None:
    """The tables as of one instant. Indices are left to the database that takes rows back."""
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
    """What a power cut or a full disk left of earlier copies."""
    for left in folder.glob("catalog-*.part*"):
        left.unlink()


def newest(folder: Path, today: date) -> Path | None:
    """Of today or before; one of a day to come, which a clock that was ahead has left, only where there is no other."""
    there = sorted(folder.glob("catalog-*.db"))
    return max((path for path in there if path <= of_day(folder, today)), default=there[-1] if there else None)


def take_back(store: Store, file: Path) -> int:
    """Put what only the box knew from a copy into a database made anew; rows already there stay. Returns the rows.

    Of the outbox only what is not retained: an old retained message would overwrite a newer one at the broker.
    Raises CatalogError.
    """
    with store.lock:
        connection = store.db.conn
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
            # by name: a copy that an older version made lacks the columns that came since
            shared = ", ".join(sorted(_columns(connection, "old", name) & _columns(connection, "main", name)))
            connection.execute(f"insert or ignore into main.{name} ({shared}) select {shared} from old.{name}")  # noqa: S608
    columns = "event_id, topic, type, data, retained, created_at, expires_at"
    if "outbox" in there:
        connection.execute(
            f"insert or ignore into main.outbox ({columns}) select {columns} from old.outbox where retained = 0"  # noqa: S608
        )
    return connection.total_changes - before


def _columns(connection: sqlite3.Connection, schema: str, table: str) -> set[str]:
    return {row[0] for row in connection.execute("select name from pragma_table_info(?, ?)", [table, schema])}
