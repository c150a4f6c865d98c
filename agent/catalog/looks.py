"""Looks: the head count of one key frame."""

from __future__ import annotations

import json
from datetime import date, datetime

from agent.catalog.base import CatalogStore, Row, dump_json
from agent.catalog.places import Places, dump_sightings, parse_sightings
from agent.core import clock as clocks
from agent.core.model import Look, Session


class Looks:
    """Table `looks`."""

    def __init__(self, store: CatalogStore, places: Places) -> None:
        self._store, self._places = store, places

    def add(self, look: Look) -> None:
        """Insert a look; a second one of the same camera and instant is ignored."""
        with self._store.write() as db:
            db.execute(
                "insert into looks (camera_id, room_id, class_id, date, session, at, people, low, high, judged, reason,"
                " boxes, width, height, quality, detector, sightings)"
                " values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
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
            " order by at desc limit ?",
            [camera_id, clocks.format_utc(start), clocks.format_utc(end), _MOST_BOXES_ROWS],
        )
        return [(clocks.parse_time(r["at"]), r["width"], r["height"], json.loads(r["boxes"])) for r in reversed(rows)]

    def withdraw(self, camera_id: str, start: datetime, end: datetime, reason: str) -> int:
        """Make the judged looks of a camera in [start, end) not judged, for a reason found later; return their number."""
        with self._store.write() as db:
            cursor = db.execute(
                "update looks set judged = 0, reason = ? where camera_id = ? and at >= ? and at < ? and judged = 1",
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

    def since(self, camera_id: str, start: datetime) -> list[Look]:
        rows = self._store.rows(
            "select * from looks where camera_id = ? and at >= ? order by at", [camera_id, clocks.format_utc(start)]
        )
        return self._places.mark_things([_to_look(row) for row in rows])


_MOST_BOXES_ROWS = 12_000


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
        judged=bool(row["judged"]),
        reason=row["reason"],
        boxes=tuple((b[0], b[1], b[2], b[3], b[4]) for b in json.loads(row["boxes"])),
        width=row["width"],
        height=row["height"],
        quality=json.loads(row["quality"]),
        detector=row["detector"],
        sightings=parse_sightings(row["sightings"]),
    )
