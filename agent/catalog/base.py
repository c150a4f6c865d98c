"""The database connection that all modules of the catalog share, and helpers for rows and JSON."""

from __future__ import annotations

import json
import sqlite3
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

from agent.catalog import new_catalog
from agent.catalog.disk_reserve import DiskReserve
from agent.core import clock as clocks
from agent.core.errors import CatalogBlocked, CatalogError

Row = Mapping[str, Any]
"""A table row: column name to SQLite value, typed as in schema.py."""
# SQLite errors caused by the disk, by permissions or by other processes, not by a damaged database
_BLOCKED = {
    sqlite3.SQLITE_FULL: "catalog.full",
    sqlite3.SQLITE_BUSY: "catalog.locked",
    sqlite3.SQLITE_LOCKED: "catalog.locked",
    sqlite3.SQLITE_READONLY: "catalog.unusable",
    sqlite3.SQLITE_CANTOPEN: "catalog.unusable",
    sqlite3.SQLITE_PERM: "catalog.unusable",
}
# checkpoint the write-ahead log after this many pages of 4 KiB; SQLite's default is 1000
_USUAL_LOG, _SHORT_LOG = 1000, 64
_PATIENCE_S, _AGAIN_S = 10.0, 0.05


class CatalogStore:
    """One SQLite file with one connection and one lock.

    The lock serialises statements inside the process; WAL lets other processes read during a write. Raises CatalogError if
    the file is not a database, CatalogBlocked if it cannot be opened at present.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.lock = threading.RLock()
        try:
            self.db = sqlite3.connect(path, timeout=_PATIENCE_S, check_same_thread=False, isolation_level=None)
            self.db.row_factory = sqlite3.Row
            # a row that `insert or replace` takes away is a deletion to triggers too: the audit refuses it
            self.db.execute("pragma recursive_triggers = on")
            self._enable_wal()
            # a segment's finished row must survive a power cut; with WAL, `synchronous = normal` may lose it
            self.db.execute("pragma synchronous = full")
            self._migrate()
        except sqlite3.Error as error:
            raise _convert_error(error, path) from error

    def _enable_wal(self) -> None:
        """Switch to WAL, retrying while another process holds the lock.

        SQLite's busy timeout does not apply to a change of the journal mode: of two processes that open a new file at the
        same time, one would fail at once.
        """
        end = time.monotonic() + _PATIENCE_S
        while True:
            try:
                if self.db.execute("pragma journal_mode").fetchone()[0] != "wal":
                    self.db.execute("pragma journal_mode = wal")
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > end:
                    raise
                time.sleep(_AGAIN_S)
            else:
                return

    def _migrate(self) -> None:
        """Create the tables, or apply pending migrations, one process at a time.

        Of two processes that start together (agent and page, after an upgrade), the second would otherwise fail on the
        tables that the first has created, and report a damaged database.
        """
        if not new_catalog.list_pending(self.db):
            return
        self.db.execute("begin immediate")
        try:
            if new_catalog.is_empty(self.db):
                new_catalog.create_tables(self.db)
            else:
                # imported here: it brings sqlite-utils, which only a catalog of an earlier version needs
                from agent.catalog import schema

                schema.apply_pending(self.db)
            self.db.execute("commit")
        finally:
            self.db.rollback()  # has no effect after a commit

    def close(self) -> None:
        with self.lock:
            self.db.close()

    def spare(self, on: bool) -> None:
        """Keep the write-ahead log short (`on`) while the disk is nearly full, so that the log need not grow."""
        with self.lock:
            pages = _SHORT_LOG if on else _USUAL_LOG
            self.db.execute(f"pragma wal_autocheckpoint = {pages}")

    def check(self, *, thorough: bool = False) -> list[str]:
        """Return the faults that SQLite finds in the file, empty if it is sound.

        `thorough` also compares indexes with tables.
        """
        found = self.rows("pragma integrity_check(10)" if thorough else "pragma quick_check(10)")
        return [text for row in found for text in map(str, row.values()) if text != "ok"]

    def damage(self) -> str | None:
        """Return the first fault that SQLite finds in the file's pages, or None."""
        try:
            found = [str(row[0]) for row in self.db.execute("pragma quick_check(1)")]
        except sqlite3.DatabaseError as error:
            return str(error)
        return None if found == ["ok"] else found[0]

    @contextmanager
    def write(self) -> Iterator[sqlite3.Connection]:
        """Run a transaction; nested calls join the outer one.

        The write lock is taken at the start (`begin immediate`): a transaction that reads first and then writes fails
        without waiting if another process (a command beside the service) wrote in between.
        """
        with self.lock:
            try:
                if self.db.in_transaction:
                    with self._nest():
                        yield self.db
                else:
                    self.db.execute("begin immediate")
                    try:
                        yield self.db
                        self.db.execute("commit")
                    finally:
                        self.db.rollback()  # has no effect after a commit
            except sqlite3.OperationalError as error:
                raise _convert_error(error, self.path) from error

    @contextmanager
    def _nest(self) -> Iterator[None]:
        """Undo what is done inside, and nothing more, where it raises."""
        self.db.execute("savepoint inner_write")  # savepoints of one name nest
        try:
            yield
        except BaseException:
            # an error may have ended the whole transaction, savepoints included
            if self.db.in_transaction:
                self.db.execute("rollback to inner_write")
                self.db.execute("release inner_write")
            raise
        self.db.execute("release inner_write")

    def rows(self, sql: str, parameters: Sequence[object] | Mapping[str, object] = ()) -> list[Row]:
        """Run a query and return all its rows."""
        with self.lock:
            try:
                return [dict(row) for row in self.db.execute(sql, parameters)]
            except sqlite3.DatabaseError as error:
                raise _convert_error(error, self.path) from error

    def row(self, sql: str, parameters: Sequence[object] | Mapping[str, object] = ()) -> Row | None:
        """Run a query and return its first row, or None."""
        found = self.rows(sql, parameters)
        return found[0] if found else None


def _convert_error(error: sqlite3.Error, file: Path) -> CatalogError:
    """Convert a SQLite error; to CatalogBlocked if the database itself may be sound."""
    # the lower byte is the primary error code, the upper bytes extend it
    kind = getattr(error, "sqlite_errorcode", 0) & 0xFF
    key = _BLOCKED.get(kind)
    if kind == sqlite3.SQLITE_IOERR and DiskReserve(file.parent).full():
        # no space for the shared-memory index of the write-ahead log is reported as an I/O error; nothing is damaged
        key = "catalog.full"
    return (
        CatalogBlocked(key, file=file, detail=error) if key else CatalogError("catalog.broken", file=file, detail=error)
    )


def dump_json(value: object) -> str:
    """Serialise to compact JSON with sorted keys, so that equal values give equal texts."""
    return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"))


def make_id() -> str:
    """Return a new random UUID."""
    from uuid import uuid4  # the module asks for the platform: `record` without the bureau need not import it

    return str(uuid4())


def parse_moment(text: str | None) -> datetime | None:
    """Parse a nullable time column."""
    return clocks.parse_time(text) if text else None
