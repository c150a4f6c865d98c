"""Changed rows as plain values, for the drive's journal and for rebuilding the catalog from it."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date

from agent.catalog.base import CatalogStore, Row
from agent.catalog.statements import to_statement
from agent.core import clock as clocks
from agent.core.alert_model import AlertKind
from agent.core.errors import CatalogError
from agent.core.model import Session
from agent.core.sign_in import MOST_SIGNED

JOURNALED = (
    "drives", "classes", "segments", "looks", "attendance", "alerts", "events", "chain", "audit", "places", "statements",
    "sign_ins",
)  # fmt: skip
"""Tables with triggers for the log; they can be rebuilt from the drives. The rest is only in the state folder."""


@dataclass(frozen=True, slots=True)
class RowChange:
    """A row of a journaled table as it is at present."""

    table: str
    row: Row


class RowChanges:
    """Table `changes`: the log of changed rows that triggers write (schema.py)."""

    def __init__(self, store: CatalogStore) -> None:
        self._store = store

    def after(self, seq: int, limit: int = 2000) -> tuple[int, list[RowChange]]:
        """Return (last `seq` read, changes after `seq` in order, each row once); rows deleted meanwhile are omitted."""
        log = self._store.rows("select seq, name, row from changes where seq > ? order by seq limit ?", [seq, limit])
        newest = {(entry["name"], entry["row"]): entry["seq"] for entry in log}
        found = []
        for name, rowid in sorted(newest, key=newest.__getitem__):
            if name not in JOURNALED:
                continue
            row = self._store.row(f"select * from {name} where rowid = ?", [rowid])  # noqa: S608 - table names from JOURNALED
            if row:
                found.append(RowChange(name, row))
        return (log[-1]["seq"] if log else seq), found

    def forget(self, seq: int) -> None:
        """Delete the log up to `seq`, once its changes are stored on the drive."""
        with self._store.write() as db:
            db.execute("delete from changes where seq <= ?", [seq])

    def forget_all(self) -> None:
        with self._store.write() as db:
            db.execute("delete from changes")

    def pending(self) -> list[tuple[str, int]]:
        """Return (table, row) of each change that no drive holds yet, in order."""
        return [(row["name"], row["row"]) for row in self._store.rows("select name, row from changes order by seq")]

    def mark(self, pending: Iterable[tuple[str, int]]) -> None:
        """Log rows as changed, so that the journal takes them."""
        with self._store.write() as db:
            for name, row in pending:
                db.execute("insert into changes (name, row) values (?, ?)", [name, row])

    def everything(self) -> Iterator[RowChange]:
        """Yield every journaled row: a new drive starts with all that the box knows, except the video of other drives."""
        for name in JOURNALED:
            for row in self._store.rows(f"select * from {name} order by rowid"):  # noqa: S608 - table names from JOURNALED
                yield RowChange(name, row)

    def statements_from(self, log: str, first: int) -> Iterator[RowChange]:
        """Yield the stored statements of a log in order, from a number on."""
        while rows := self._store.rows(
            "select * from statements where log = ? and number >= ? order by number limit 1000", [log, first]
        ):
            yield from (RowChange("statements", row) for row in rows)
            first = rows[-1]["number"] + 1

    def of_half_day(self, class_id: str, day: date, session: Session, drive_id: str) -> list[RowChange]:
        """Return the rows for a half-day's record: class, finished segments on this drive, looks, figures, alerts."""
        key = {"c": class_id, "d": day.isoformat(), "s": session.value, "v": drive_id}
        half = "class_id = :c and date = :d and session = :s"
        queries = (
            ("classes", "class_id = :c", "class_id"),
            ("segments", f"{half} and drive_id = :v and state = 'finished'", "path"),
            ("looks", half, "at, camera_id"),
            ("attendance", half, "revision"),
            ("alerts", half, "since, alert_id"),
            ("statements", f"id in ({_STATEMENTS_OF_HALF_DAY})", "log, number"),
        )
        return [
            RowChange(name, row)
            for name, where, order in queries
            for row in self._store.rows(f"select * from {name} where {where} order by {order}", key)  # noqa: S608
        ]

    def of_class(self, class_id: str) -> list[RowChange]:
        """Return the rows for a class's final record: class, figures, alerts, chain links, and the audit of the class."""
        tables = {
            "classes": "class_id",
            "attendance": "class_id",
            "alerts": "class_id",
            "chain": "class_id",
            "audit": "object",
        }
        return [
            RowChange(name, row)
            for name, key in tables.items()
            for row in self._store.rows(f"select * from {name} where {key} = ? order by rowid", [class_id])  # noqa: S608
        ]

    def put(self, change: RowChange) -> bool:
        """Restore a row, replacing an older state of the same record; return False if its values do not fit the table.

        A row keeps its `id` unless another row has it (drives filled before and after an earlier rebuild).
        """
        if change.table not in _KEYS:
            return False
        columns = {c["name"] for c in self._store.rows(f"pragma table_info({change.table})")}
        values = {name: value for name, value in change.row.items() if name in columns}
        key = _KEYS[change.table]
        if not values.keys() >= set(key) or not _is_parseable(change.table, values):
            return False
        with self._store.write() as db:
            try:
                where = " and ".join(f"{name} is :{name}" for name in key)
                known = self._store.row(f"select rowid as r from {change.table} where {where}", values)  # noqa: S608
                if known and change.table in _ONLY_GROW:
                    return True  # the hash covers all other columns
                if known:
                    rest = [name for name in values if name != "id" and name not in key]
                    pairs = ", ".join(f"{name} = :{name}" for name in rest)
                    if pairs:
                        db.execute(f"update {change.table} set {pairs} where rowid = {known['r']}", values)  # noqa: S608
                    return True
                if "id" in values and self._store.row(f"select 1 from {change.table} where id = :id", values):  # noqa: S608
                    del values["id"]
                names, marks = ", ".join(values), ", ".join(f":{name}" for name in values)
                db.execute(f"insert into {change.table} ({names}) values ({marks})", values)  # noqa: S608
            except (sqlite3.Error, CatalogError, OverflowError, UnicodeEncodeError):
                return False
        return True


# batches name several half-days; none was stated before its day, give or take the clock's offset
_STATEMENTS_OF_HALF_DAY = (
    "select id from statements where class_id = :c and date = :d and session = :s"
    " union select b.id from statements b, json_each(b.data, '$.half_days') h"
    " where b.subject in ('segment', 'looks') and b.made_at >= date(:d, '-1 day')"
    " and json_extract(h.value, '$.class_id') = :c and json_extract(h.value, '$.date') = :d"
    " and json_extract(h.value, '$.session') = :s"
)
_MOMENTS = frozenset({
    "at", "start", "end", "created", "seen_at", "handed_over_at", "stopped_at", "imported_at", "updated_at", "since",
    "closed_at", "unchecked_since", "until", "sender_time", "found_at", "verdict_at", "made_at",
})  # fmt: skip
_JSON: Mapping[str, type] = {
    "body": dict, "detail": dict, "quality": dict, "boxes": list, "sightings": list, "corners": list,
}  # fmt: skip


def _is_parseable(table: str, values: Row) -> bool:
    """Return whether the row could be parsed again.

    SQLite accepts any text as a time; one bad row from a foreign drive would make every command that reads it fail.
    """
    try:
        for name, value in values.items():
            if value is None:
                continue
            if name in _MOMENTS:
                clocks.parse_time(value)
            elif name == "date":
                date.fromisoformat(value)
            elif name == "session":
                Session(value)
            elif name == "evidence":
                json.loads(value)
            elif name in _JSON and not isinstance(json.loads(value), _JSON[name]):
                return False
            elif name == "kind" and table == "alerts":
                AlertKind(value)
            elif table == "sign_ins" and name.startswith("signed_") and value not in range(MOST_SIGNED + 1):
                return False
        return table != "statements" or to_statement(values).is_sound()
    except (KeyError, ValueError, TypeError, OverflowError, RecursionError):
        return False


_ONLY_GROW = ("audit", "statements")
# the columns that identify the same record in another database
_KEYS: Mapping[str, tuple[str, ...]] = {
    "drives": ("drive_id",), "classes": ("class_id",), "segments": ("drive_id", "path"), "looks": ("camera_id", "at"),
    "attendance": ("class_id", "date", "session"), "alerts": ("alert_id",),
    "events": ("at", "kind", "camera_id", "drive_id"), "chain": ("class_id", "date", "session"), "audit": ("hash",),
    "places": ("camera_id", "place", "start"),
    "statements": ("log", "number"), "sign_ins": ("class_id", "date", "session"),
}  # fmt: skip
