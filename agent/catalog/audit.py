"""Who did what: append-only, each entry chained by hash to the one before, so that a change or a loss inside shows.

Entry n's hash is SHA-256 over the UTF-8 of `previous hash, LF, compact JSON list [id, at, who, action, object, detail]`. The
database itself refuses to update or delete (schema.py); whoever goes round that breaks the chain. The newest
hash must be kept elsewhere (a manifest, the bureau) for a lost tail to show.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from agent import clock as clocks
from agent.catalog.base import Row, Store, dump

GENESIS = "0" * 64
_PAGE = 1000


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """`object` is what it was done to (a class ID, a clip's name, an account); `detail` never holds a secret."""

    entry_id: int
    at: datetime
    who: str
    action: str
    object: str
    detail: Mapping[str, Any]
    previous: str
    hash: str


class Audit:
    def __init__(self, store: Store) -> None:
        self._store = store
        self._good = (0, GENESIS)

    def add(
        self, at: datetime, who: str, action: str, object_: str = "", detail: Mapping[str, Any] | None = None
    ) -> AuditEntry:
        """Append an entry."""
        with self._store.write() as db:
            last = self._store.row("select id, hash from audit order by id desc limit 1")
            number, previous = (last["id"] + 1, last["hash"]) if last else (1, GENESIS)
            when, text = clocks.stamp(at), dump(dict(detail or {}))
            digest = hash_of(previous, number, when, who, action, object_, text)
            db.execute(
                "insert into audit (id, at, who, action, object, detail, previous, hash) values (?, ?, ?, ?, ?, ?, ?, ?)",
                [number, when, who, action, object_, text, previous, digest],
            )
        return AuditEntry(number, clocks.parse(when), who, action, object_, json.loads(text), previous, digest)

    def head(self) -> str:
        """The newest entry's hash; zeros where there is none."""
        row = self._store.row("select hash from audit order by id desc limit 1")
        return str(row["hash"]) if row else GENESIS

    def recent(self, limit: int = 100, before: int | None = None) -> list[AuditEntry]:
        """Newest first; `before` pages on from an entry ID."""
        rows = self._store.rows(
            "select * from audit where (? is null or id < ?) order by id desc limit ?", [before, before, limit]
        )
        return [_entry(row) for row in rows]

    def of_object(self, object_: str, action: str | None = None) -> list[AuditEntry]:
        """Oldest first."""
        rows = self._store.rows(
            "select * from audit where object = ? and (? is null or action = ?) order by id", [object_, action, action]
        )
        return [_entry(row) for row in rows]

    def verify(self) -> int | None:
        """The ID of the first entry that does not fit the chain, or None where all do."""
        self._good = (0, GENESIS)
        return self.verify_new()

    def verify_new(self) -> int | None:
        """As `verify`, but what this process has checked once is not read again."""
        last, previous = self._good
        for row in self._after(last):
            digest = hash_of_row(row)
            if row["id"] != last + 1 or row["previous"] != previous or row["hash"] != digest:
                return int(row["id"])
            last, previous = last + 1, digest
        self._good = (last, previous)
        return None

    def _after(self, last: int) -> Iterator[Row]:
        while page := self._store.rows("select * from audit where id > ? order by id limit ?", [last, _PAGE]):
            yield from page
            last = page[-1]["id"]


def hash_of_row(row: Row) -> str:
    """What the hash of a row of the table has to be. Raises KeyError where it is none."""
    return hash_of(row["previous"], row["id"], row["at"], row["who"], row["action"], row["object"], row["detail"])


def hash_of(previous: str, number: int, at: str, who: str, action: str, object_: str, detail: str) -> str:
    fields = json.dumps([number, at, who, action, object_, detail], ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(f"{previous}\n{fields}".encode()).hexdigest()


def _entry(row: Row) -> AuditEntry:
    return AuditEntry(
        row["id"], clocks.parse(row["at"]), row["who"], row["action"], row["object"], json.loads(row["detail"]),
        row["previous"], row["hash"],
    )  # fmt: skip
