"""Approved classes, and the attendance objects of their half-days as last published."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import TYPE_CHECKING

from agent import clock as clocks
from agent.catalog.base import JsonObject, Row, Store, dump
from agent.model import Session

if TYPE_CHECKING:
    from agent.contract.attendance import AttendanceBody


@dataclass(frozen=True, slots=True)
class ClassRow:
    """A stored class. `body`: the class file's content as JSON, dates and times as text. `source`: `file` or `bureau`."""

    class_id: str
    body: JsonObject
    source: str
    imported_at: datetime


class Classes:
    """Table `classes`."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def put(self, class_id: str, body: Mapping[str, object], source: str, at: datetime) -> None:
        """Insert or replace a class."""
        with self._store.write() as db:
            db.execute(
                "insert into classes values (?, ?, ?, ?) on conflict (class_id) do update set body = excluded.body,"
                " source = excluded.source, imported_at = excluded.imported_at",
                [class_id, dump(dict(body)), source, clocks.stamp(at)],
            )

    def get(self, class_id: str) -> ClassRow | None:
        row = self._store.row("select * from classes where class_id = ?", [class_id])
        return _to_class(row) if row else None

    def all(self) -> list[ClassRow]:
        return [_to_class(row) for row in self._store.rows("select * from classes order by class_id")]

    def imported(self) -> dict[str, datetime]:
        """Return the time of each class's last import by class ID, without reading the bodies."""
        rows = self._store.rows("select class_id, imported_at from classes order by class_id")
        return {row["class_id"]: clocks.parse(row["imported_at"]) for row in rows}


class AttendanceFigures:
    """Table `attendance`: the attendance object of each half-day, as last published."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def put(self, body: AttendanceBody, at: datetime) -> None:
        """Insert or replace a half-day's attendance object."""
        with self._store.write() as db:
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
                    dump(dict(body)),
                    clocks.stamp(at),
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


def _to_class(row: Row) -> ClassRow:
    return ClassRow(row["class_id"], json.loads(row["body"]), row["source"], clocks.parse(row["imported_at"]))
