"""The connection that the catalog's parts share, and the small things each of them needs."""

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

from agent import clock as clocks
from agent.catalog.library import Database
from agent.catalog.reserve import Reserve
from agent.catalog.schema import migrations
from agent.errors import CatalogBlocked, CatalogError

Row = Mapping[str, Any]
# what SQLite says of the disk, of rights and of other processes, and not of the database
_BLOCKED = {
    sqlite3.SQLITE_FULL: "catalog.full", sqlite3.SQLITE_BUSY: "catalog.locked", sqlite3.SQLITE_LOCKED: "catalog.locked",
    sqlite3.SQLITE_READONLY: "catalog.unusable", sqlite3.SQLITE_CANTOPEN: "catalog.unusable",
    sqlite3.SQLITE_PERM: "catalog.unusable",
}  # fmt: skip
# pages of 4 KiB after which the write-ahead log is written into the database; SQLite's own is 1000
_USUAL_LOG, _SHORT_LOG = 1000, 64
_PATIENCE_S, _AGAIN_S = 10.0, 0.05


class Store:
    """One SQLite file, one connection, one lock: writers take turns inside the process, WAL lets others read meanwhile.

    Raises CatalogError where the file is no database, CatalogBlocked where it cannot be opened just now.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.lock = threading.RLock()
        try:
            connection = sqlite3.connect(path, timeout=_PATIENCE_S, check_same_thread=False, isolation_level=None)
            connection.row_factory = sqlite3.Row
            self.db = Database(connection)
            self._enable_wal()
            # the finished row is the last word about a segment: it must survive a power cut (WAL's NORMAL may lose it)
            connection.execute("pragma synchronous = full")
            self._migrate()
        except sqlite3.Error as error:
            raise _trouble(error, path) from error

    def _enable_wal(self) -> None:
        """SQLite does not wait for its lock where the journal's kind changes: of two processes that open a new file one
        would be turned away at once."""
        end = time.monotonic() + _PATIENCE_S
        while True:
            try:
                self.db.enable_wal()
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > end:
                    raise
                time.sleep(_AGAIN_S)
            else:
                return

    def _migrate(self) -> None:
        """One process at a time: of two that begin together (the agent and the page, after an upgrade) the second would
        trip over the first one's tables, and take that for damage."""
        if not migrations.pending(self.db):
            return
        self.db.conn.execute("begin immediate")
        try:
            migrations.apply(self.db)
            self.db.conn.execute("commit")
        finally:
            self.db.conn.rollback()  # nothing to do after a commit

    def close(self) -> None:
        with self.lock:
            self.db.close()

    def spare(self, on: bool) -> None:
        """While the disk is nearly full the write-ahead log is kept short, so that it needs no more room than it has."""
        with self.lock:
            pages = _SHORT_LOG if on else _USUAL_LOG
            self.db.conn.execute(f"pragma wal_autocheckpoint = {pages}")

    def check(self, *, thorough: bool = False) -> list[str]:
        """What SQLite finds wrong in the file, empty where it is whole; `thorough` compares indexes with tables too."""
        found = self.rows("pragma integrity_check(10)" if thorough else "pragma quick_check(10)")
        return [text for row in found for text in map(str, row.values()) if text != "ok"]

    def damage(self) -> str | None:
        """What SQLite finds wrong with the file's pages, or None."""
        try:
            found = [str(row[0]) for row in self.db.conn.execute("pragma quick_check(1)")]
        except sqlite3.DatabaseError as error:
            return str(error)
        return None if found == ["ok"] else found[0]

    @contextmanager
    def write(self) -> Iterator[Database]:
        """A transaction; nested ones join it.

        It takes SQLite's write lock at once: one that reads first and then wants to write is refused without waiting
        when another process (a command beside the service) wrote in between.
        """
        with self.lock:
            try:
                if not self.db.conn.in_transaction:
                    self.db.conn.execute("begin immediate")
                    try:
                        yield self.db
                        self.db.conn.execute("commit")
                    finally:
                        self.db.conn.rollback()  # nothing to do after a commit
                else:
                    with self.db.atomic():
                        yield self.db
            except sqlite3.OperationalError as error:
                raise _trouble(error, self.path) from error

    def rows(self, sql: str, parameters: Sequence[Any] | Mapping[str, Any] = ()) -> list[Row]:
        with self.lock:
            try:
                return [dict(row) for row in self.db.conn.execute(sql, parameters)]
            except sqlite3.DatabaseError as error:
                raise _trouble(error, self.path) from error

    def row(self, sql: str, parameters: Sequence[Any] | Mapping[str, Any] = ()) -> Row | None:
        found = self.rows(sql, parameters)
        return found[0] if found else None


def _trouble(error: sqlite3.Error, file: Path) -> CatalogError:
    """CatalogBlocked where the database itself may be well."""
    # the lower byte is the kind, the rest its details
    kind = getattr(error, "sqlite_errorcode", 0) & 0xFF
    key = _BLOCKED.get(kind)
    if kind == sqlite3.SQLITE_IOERR and Reserve(file.parent).full():
        # the shared index of the write-ahead log found no room: that reads as an I/O error, and nothing is damaged
        key = "catalog.full"
    return (
        CatalogBlocked(key, file=file, detail=error) if key else CatalogError("catalog.broken", file=file, detail=error)
    )


def dump(value: object) -> str:
    """Compact JSON with stable key order, so that equal values are equal texts."""
    return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"))


def moment(text: str | None) -> datetime | None:
    return clocks.parse(text) if text else None
