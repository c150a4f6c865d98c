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
from agent.core.audit_chain import GENESIS, AuditChainCheck, AuditEntry, build_entry, compute_entry_hash

_PAGE = 1000


class Audit:
    """Table `audit`."""

    def __init__(self, store: CatalogStore) -> None:
        self._store = store
        self._checked = AuditChainCheck()

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
        return [build_entry(row) for row in rows]

    def of_object(self, object_: str, action: str | None = None) -> list[AuditEntry]:
        """Return the entries about an object, oldest first."""
        rows = self._store.rows(
            "select * from audit where object = ? and (? is null or action = ?) order by id", [object_, action, action]
        )
        return [build_entry(row) for row in rows]

    def verify(self) -> int | None:
        """Check the whole chain; return the ID of the first entry that does not fit, or None."""
        self._checked = AuditChainCheck()
        return self.verify_new()

    def verify_new(self) -> int | None:
        """Check the entries that this process has not verified before; return as `verify`."""
        return self._checked.find_fault(self._after(self._checked.last))

    def _after(self, last: int) -> Iterator[Row]:
        while page := self._store.rows("select * from audit where id > ? order by id limit ?", [last, _PAGE]):
            yield from page
            last = page[-1]["id"]
