"""Approved classes, and the attendance objects of their half-days as last published."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import TYPE_CHECKING

from agent.catalog.base import CatalogStore, Row, dump_json
from agent.catalog.outbox import Outbox
from agent.core import clock as clocks
from agent.core.model import JsonObject, Session

if TYPE_CHECKING:
    from agent.contract.attendance import AttendanceBody


@dataclass(frozen=True, slots=True)
class StoredClass:
    """A stored class. `body`: the class file's content as JSON, dates and times as text. `source`: `file` or `bureau`."""

    class_id: str
    body: JsonObject
    source: str
    imported_at: datetime


class Classes:
    """Table `classes`."""

    def __init__(self, store: CatalogStore) -> None:
        self._store = store

    def put(self, class_id: str, body: Mapping[str, object], source: str, at: datetime) -> None:
        """Insert or replace a class."""
        with self._store.write() as db:
            db.execute(
                "insert into classes values (?, ?, ?, ?) on conflict (class_id) do update set body = excluded.body,"
                " source = excluded.source, imported_at = excluded.imported_at",
                [class_id, dump_json(dict(body)), source, clocks.format_utc(at)],
            )

    def get(self, class_id: str) -> StoredClass | None:
        row = self._store.row("select * from classes where class_id = ?", [class_id])
        return _to_class(row) if row else None

    def all(self) -> list[StoredClass]:
        return [_to_class(row) for row in self._store.rows("select * from classes order by class_id")]

    def imported(self) -> dict[str, datetime]:
        """Return the time of each class's last import by class ID, without reading the bodies."""
        rows = self._store.rows("select class_id, imported_at from classes order by class_id")
        return {row["class_id"]: clocks.parse_time(row["imported_at"]) for row in rows}


class AttendanceFigures:
    """Table `attendance`: the attendance object of each half-day, as last published."""

    def __init__(self, store: CatalogStore, outbox: Outbox) -> None:
        self._store = store
        self._outbox = outbox

    def put(self, body: AttendanceBody, at: datetime) -> None:
        """Insert or replace a half-day's attendance object, and state it to the bureau."""
        with self._store.write() as db:
            topic = f"attendance/{body['class_id']}/{body['date']}/{body['session']}"
            self._outbox.put(topic, "attendance", body, at, retained=True)
            db.execute(
                "insert into attendance values (?, ?, ?, ?, ?, ?, ?) on conflict (class_id, date, session) do update set"
                " revision = excluded.revision, status = excluded.status, body = excluded.body,"
                " updated_at = excluded.updated_at",
                [
                    body["class_id"],
                    body["date"],
                    body["session"],
                    body["revision"],
                    body["status"],
                    dump_json(dict(body)),
                    clocks.format_utc(at),
                ],
            )

    def get(self, class_id: str, day: date, session: Session) -> AttendanceBody | None:
        row = self._store.row(
            "select body from attendance where class_id = ? and date = ? and session = ?",
            [class_id, day.isoformat(), session.value],
        )
        found: AttendanceBody | None = json.loads(row["body"]) if row else None
        return found

    def of_class(self, class_id: str) -> list[AttendanceBody]:
        """Return the attendance objects of a class in order of time."""
        rows = self._store.rows(
            "select body from attendance where class_id = ? order by date,"
            " case session when 'am' then 0 when 'pm' then 1 else 2 end",
            [class_id],
        )
        return [json.loads(row["body"]) for row in rows]


def _to_class(row: Row) -> StoredClass:
    return StoredClass(row["class_id"], json.loads(row["body"]), row["source"], clocks.parse_time(row["imported_at"]))
