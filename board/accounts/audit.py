"""The audit: who looked at what and did what, each entry chained to the one before as the box's is."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, insert, select, text

from agent.core.audit_chain import GENESIS, AuditChainCheck, AuditEntry, build_entry, compute_entry_hash
from agent.core.clock import format_utc, parse_time
from board.store.database import Database
from board.store.tables import audit

_PAGE = 1000


class BoardAudit:
    """Table `audit`, which only grows. Raises StoreError."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._checked = AuditChainCheck()

    def add(
        self, at: datetime, who: str, action: str, object_: str = "", detail: Mapping[str, object] | None = None
    ) -> AuditEntry:
        """Append an entry."""
        with self._database.write() as connection:
            return self.add_in(connection, at, who, action, object_, detail)

    def add_in(
        self,
        connection: Connection,
        at: datetime,
        who: str,
        action: str,
        object_: str = "",
        detail: Mapping[str, object] | None = None,
    ) -> AuditEntry:
        """Append an entry in a transaction that is under way."""
        if not self._database.is_sqlite:
            connection.execute(text("lock table audit in share row exclusive mode"))  # two processes, one chain
        last = connection.execute(select(audit.c.id, audit.c.hash).order_by(audit.c.id.desc()).limit(1)).one_or_none()
        number, previous = (last.id + 1, last.hash) if last else (1, GENESIS)
        when = format_utc(at)
        body = json.dumps(dict(detail or {}), ensure_ascii=False, sort_keys=True, separators=(",", ":"))
        digest = compute_entry_hash(previous, number, when, who, action, object_, body)
        row = {"id": number, "at": when, "who": who, "action": action, "object": object_, "detail": body}
        connection.execute(insert(audit).values(**row, previous=previous, hash=digest))
        return AuditEntry(number, parse_time(when), who, action, object_, json.loads(body), previous, digest)

    def head(self) -> str:
        """Return the newest entry's hash; zeros for an empty log."""
        with self._database.read() as connection:
            found = connection.execute(select(audit.c.hash).order_by(audit.c.id.desc()).limit(1)).scalar()
        return str(found) if found else GENESIS

    def recent(self, limit: int = 100, before: int | None = None) -> list[AuditEntry]:
        """Return up to `limit` entries, newest first; `before` (an entry's number, exclusive) continues a list."""
        query = select(audit).order_by(audit.c.id.desc()).limit(limit)
        if before is not None:
            query = query.where(audit.c.id < before)
        with self._database.read() as connection:
            return [build_entry(dict(row)) for row in connection.execute(query).mappings()]

    def verify(self) -> int | None:
        """Check the whole chain; return the number of the first entry that does not fit, or None."""
        self._checked = AuditChainCheck()
        return self.verify_new()

    def verify_new(self) -> int | None:
        """Check the entries that this process has not checked before; return as `verify`."""
        while page := self._load_after(self._checked.last):
            if (fault := self._checked.find_fault(page)) is not None:
                return fault
        return None

    def _load_after(self, number: int) -> list[dict[str, Any]]:
        with self._database.read() as connection:
            query = select(audit).where(audit.c.id > number).order_by(audit.c.id).limit(_PAGE)
            return [dict(row) for row in connection.execute(query).mappings()]
