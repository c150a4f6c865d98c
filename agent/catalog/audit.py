"""Append-only audit log: who did what.

Each entry is chained by hash to the one before (agent/core/audit_chain.py), so that a changed or missing entry inside the
log is detected. Triggers refuse to update or delete entries (schema.py); bypassing them breaks the chain. A lost tail is
detected only if the newest hash is also stored elsewhere (a manifest, the bureau).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import datetime

from agent.catalog.base import CatalogStore, Row, dump_json
from agent.core import clock as clocks
from agent.core.audit_chain import GENESIS, AuditEntry, compute_entry_hash

_PAGE = 1000


class Audit:
    """Table `audit`."""

    def __init__(self, store: CatalogStore) -> None:
        self._store = store
        self._verified = (0, GENESIS)

    def add(
        self, at: datetime, who: str, action: str, object_: str = "", detail: Mapping[str, object] | None = None
    ) -> AuditEntry:
        """Append an entry."""
        with self._store.write() as db:
            last = self._store.row("select id, hash from audit order by id desc limit 1")
            number, previous = (last["id"] + 1, last["hash"]) if last else (1, GENESIS)
            when, text = clocks.format_utc(at), dump_json(dict(detail or {}))
            digest = compute_entry_hash(previous, number, when, who, action, object_, text)
            db.execute(
                "insert into audit (id, at, who, action, object, detail, previous, hash) values (?, ?, ?, ?, ?, ?, ?, ?)",
                [number, when, who, action, object_, text, previous, digest],
            )
        return AuditEntry(number, clocks.parse_time(when), who, action, object_, json.loads(text), previous, digest)

    def head(self) -> str:
        """Return the newest entry's hash; zeros for an empty log."""
        row = self._store.row("select hash from audit order by id desc limit 1")
        return str(row["hash"]) if row else GENESIS

    def recent(self, limit: int = 100, before: int | None = None) -> list[AuditEntry]:
        """Return up to `limit` entries, newest first; `before` (an entry ID, exclusive) continues a list."""
        rows = self._store.rows(
            "select * from audit where (? is null or id < ?) order by id desc limit ?", [before, before, limit]
        )
        return [_to_entry(row) for row in rows]

    def of_object(self, object_: str, action: str | None = None) -> list[AuditEntry]:
        """Return the entries about an object, oldest first."""
        rows = self._store.rows(
            "select * from audit where object = ? and (? is null or action = ?) order by id", [object_, action, action]
        )
        return [_to_entry(row) for row in rows]

    def verify(self) -> int | None:
        """Check the whole chain; return the ID of the first entry that does not fit, or None."""
        self._verified = (0, GENESIS)
        return self.verify_new()

    def verify_new(self) -> int | None:
        """Check the entries that this process has not verified before; return as `verify`."""
        last, previous = self._verified
        for row in self._after(last):
            digest = compute_row_hash(row)
            if row["id"] != last + 1 or row["previous"] != previous or row["hash"] != digest:
                return int(row["id"])
            last, previous = last + 1, digest
        self._verified = (last, previous)
        return None

    def _after(self, last: int) -> Iterator[Row]:
        while page := self._store.rows("select * from audit where id > ? order by id limit ?", [last, _PAGE]):
            yield from page
            last = page[-1]["id"]


def compute_row_hash(row: Row) -> str:
    """Compute the hash that a row of the table must have. Raises KeyError if a column is missing."""
    return compute_entry_hash(
        row["previous"], row["id"], row["at"], row["who"], row["action"], row["object"], row["detail"]
    )


def _to_entry(row: Row) -> AuditEntry:
    return AuditEntry(
        row["id"],
        clocks.parse_time(row["at"]),
        row["who"],
        row["action"],
        row["object"],
        json.loads(row["detail"]),
        row["previous"],
        row["hash"],
    )
