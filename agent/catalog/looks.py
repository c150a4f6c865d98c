"""Looks: the head count of one key frame.

Looks are stated in batches of about a minute: a batch's statement carries the hash over its rows. A look belongs to the batch
after the newest stated one, from its insertion on.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import date, datetime
from typing import TYPE_CHECKING

from agent.catalog.base import CatalogStore, Row, dump_json
from agent.catalog.outbox import Outbox
from agent.catalog.places import Places, dump_sightings, parse_sightings
from agent.core import clock as clocks
from agent.core.model import Look, Session
from agent.core.statement_model import hash_value

if TYPE_CHECKING:
    from agent.contract.statements import LooksHalfDay, LooksStatement


class Looks:
    """Table `looks`."""

    def __init__(self, store: CatalogStore, outbox: Outbox, places: Places) -> None:
        self._store, self._outbox, self._places = store, outbox, places

    def add(self, look: Look) -> None:
        """Insert a look; a second one of the same camera and instant is ignored."""
        with self._store.write() as db:
            self._outbox.ensure_log(look.at)
            db.execute(
                "insert into looks (camera_id, room_id, class_id, date, session, at, people, low, high, judged, reason,"
                " boxes, width, height, quality, detector, sightings, batch)"
                " values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?,"
                " coalesce((select batch from logs where current = 1), 0) + 1)"
                " on conflict (camera_id, at) do nothing",
                [
                    look.camera_id,
                    look.room_id,
                    look.class_id,
                    look.date.isoformat(),
                    look.session.value,
                    clocks.format_utc(look.at),
                    look.people,
                    look.low,
                    look.high,
                    int(look.judged),
                    look.reason,
                    dump_json([list(box) for box in look.boxes]),
                    look.width,
                    look.height,
                    dump_json(dict(look.quality)),
                    look.detector,
                    dump_sightings(look.sightings),
                ],
            )

    def state(self, at: datetime) -> int:
        """State the looks added since the last call, all half-days in one statement; return how many looks."""
        with self._store.write() as db:
            where = "batch > coalesce((select batch from logs where current = 1), 0)"
            rows = self._store.rows(f"select * from looks where {where}")  # noqa: S608 - own condition
            if not rows:
                return 0
            for batch in sorted({row["batch"] for row in rows}):
                data = build_looks_statement(batch, [row for row in rows if row["batch"] == batch])
                self._outbox.put("looks", "looks", data, at)
            db.execute("update logs set batch = max(batch, ?) where current = 1", [max(row["batch"] for row in rows)])
        return len(rows)

    def of_half_day(self, class_id: str, day: date, session: Session) -> list[Look]:
        """Return the looks of a half-day, with things marked as is known today."""
        rows = self._store.rows(
            "select * from looks where class_id = ? and date = ? and session = ? order by at",
            [class_id, day.isoformat(), session.value],
        )
        return self._places.mark_things([_to_look(row) for row in rows])

    def list_boxes(
        self, camera_id: str, start: datetime, end: datetime
    ) -> list[tuple[datetime, int, int, list[list[float]]]]:
        """Return (instant, width, height, boxes) of a camera's judged looks in [start, end), the newest ones, in order."""
        rows = self._store.rows(
            "select at, width, height, boxes from looks where camera_id = ? and at >= ? and at < ? and judged = 1"
            " and withdrawn is null"
            " order by at desc limit ?",
            [camera_id, clocks.format_utc(start), clocks.format_utc(end), _MOST_BOXES_ROWS],
        )
        return [(clocks.parse_time(r["at"]), r["width"], r["height"], json.loads(r["boxes"])) for r in reversed(rows)]

    def withdraw(self, camera_id: str, start: datetime, end: datetime, reason: str) -> int:
        """Make the judged looks of a camera in [start, end) not judged, for a reason found later; return their number.

        What was stated of them stays as it is: the reason stands beside it.
        """
        with self._store.write() as db:
            cursor = db.execute(
                "update looks set withdrawn = ? where camera_id = ? and at >= ? and at < ? and judged = 1"
                " and withdrawn is null",
                [reason, camera_id, clocks.format_utc(start), clocks.format_utc(end)],
            )
            return int(cursor.rowcount)

    def last(self, camera_id: str, now: datetime) -> Look | None:
        """Return a camera's newest look at or before `now`.

        Later ones were stored while the clock was ahead, and do not describe the present.
        """
        row = self._store.row(
            "select * from looks where camera_id = ? and at <= ? order by at desc limit 1",
            [camera_id, clocks.format_utc(now)],
        )
        return self._places.mark_things([_to_look(row)])[0] if row else None

    def first_after(self, camera_id: str, at: datetime) -> Look | None:
        """Return a camera's first look after an instant."""
        row = self._store.row(
            "select * from looks where camera_id = ? and at > ? order by at limit 1", [camera_id, clocks.format_utc(at)]
        )
        return self._places.mark_things([_to_look(row)])[0] if row else None

    def between(self, camera_id: str, start: datetime, end: datetime) -> list[Look]:
        """Return a camera's looks in [start, end), with things marked as is known today."""
        rows = self._store.rows(
            "select * from looks where camera_id = ? and at >= ? and at < ? order by at",
            [camera_id, clocks.format_utc(start), clocks.format_utc(end)],
        )
        return self._places.mark_things([_to_look(row) for row in rows])

    def since(self, camera_id: str, start: datetime) -> list[Look]:
        rows = self._store.rows(
            "select * from looks where camera_id = ? and at >= ? order by at", [camera_id, clocks.format_utc(start)]
        )
        return self._places.mark_things([_to_look(row) for row in rows])


_MOST_BOXES_ROWS = 12_000


def build_looks_statement(batch: int, rows: Iterable[Row]) -> LooksStatement:
    """Build the contract's object for the looks of a batch."""
    groups: dict[tuple[str, str, str], list[Row]] = {}
    for row in rows:
        groups.setdefault((row["class_id"], row["date"], row["session"]), []).append(row)
    half_days: list[LooksHalfDay] = [
        {"class_id": class_id, "date": day, "session": session, "count": len(items), "sha256": hash_looks(items)}
        for (class_id, day, session), items in sorted(groups.items())
    ]
    return {"batch": batch, "half_days": half_days}


def hash_looks(rows: Iterable[Row]) -> str:
    """Return the SHA-256 of the canonical form of a batch of rows by instant and camera, without ID and batch number.

    Columns that a later version adds are left out by name there, so that this value can be computed for ever.
    """
    told = [{name: row[name] for name in _STATED} for row in rows]
    return hash_value(sorted(told, key=lambda row: (row["at"], row["camera_id"])))


_STATED = (
    "camera_id", "room_id", "class_id", "date", "session", "at", "people", "low", "high", "judged", "reason", "boxes",
    "width", "height", "quality", "detector",
)  # fmt: skip


def _to_look(row: Row) -> Look:
    return Look(
        camera_id=row["camera_id"],
        room_id=row["room_id"],
        class_id=row["class_id"],
        date=date.fromisoformat(row["date"]),
        session=Session(row["session"]),
        at=clocks.parse_time(row["at"]),
        people=row["people"],
        low=row["low"],
        high=row["high"],
        judged=bool(row["judged"]) and row["withdrawn"] is None,
        reason=row["withdrawn"] or row["reason"],
        boxes=tuple((b[0], b[1], b[2], b[3], b[4]) for b in json.loads(row["boxes"])),
        width=row["width"],
        height=row["height"],
        quality=json.loads(row["quality"]),
        detector=row["detector"],
        sightings=parse_sightings(row["sightings"]),
    )
