"""Events: what happened to cameras, drive, clock and agent; the source of reasons in the gap ledger.

Kinds: agent.started, agent.stopped, agent.alive (refreshed every few seconds; its boot ID distinguishes a killed process
from a power cut), camera.up, camera.down, camera.stalled, camera.refused, drive.missing,
drive.returned, drive.full, clock.stepped, …
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime

from agent.catalog.base import CatalogStore, Row, dump_json, parse_moment
from agent.core import clock as clocks
from agent.core.model import Event


class Events:
    """Table `events`."""

    def __init__(self, store: CatalogStore) -> None:
        self._store = store

    def add(
        self,
        kind: str,
        at: datetime,
        *,
        camera_id: str | None = None,
        drive_id: str | None = None,
        detail: Mapping[str, object] | None = None,
    ) -> int:
        """Insert an event and return its ID."""
        with self._store.write() as db:
            cursor = db.execute(
                "insert into events (at, kind, camera_id, drive_id, detail) values (?, ?, ?, ?, ?)",
                [clocks.format_utc(at), kind, camera_id, drive_id, dump_json(dict(detail or {}))],
            )
            return int(cursor.lastrowid or 0)

    def end(self, event_id: int, until: datetime) -> None:
        """Set the end of a lasting event."""
        with self._store.write() as db:
            db.execute("update events set until = ? where id = ?", [clocks.format_utc(until), event_id])

    def between(self, start: datetime, end: datetime) -> list[Event]:
        """Return events that began before `end` and were not over before `start`; instantaneous ones from `start` on."""
        rows = self._store.rows(
            "select * from events where at < :end and coalesce(until, at) >= :start order by at, id",
            {"start": clocks.format_utc(start), "end": clocks.format_utc(end)},
        )
        return [_to_event(row) for row in rows]

    def traces(self) -> tuple[datetime, datetime] | None:
        """Return the earliest and the latest trace of the agent's work in this catalog; None for a new catalog.

        What commands do while the agent does not run (import a class, change an account, rebuild the catalog) counts for
        the earliest trace but not for the latest.
        """
        row = self._store.row(
            "select min(at) as first, max(at) filter (where worked) as last from ("
            " select at, kind not in ('catalog.rebuilt', 'class.imported', 'class.approved', 'account.changed',"
            " 'camera.forgotten', 'camera.accepted', 'camera.unit_changed') as worked from events"
            ' union all select coalesce("end", start), 1 from segments union all select at, 1 from looks)'
        )
        if row is None or row["first"] is None:
            return None
        return clocks.parse_time(row["first"]), clocks.parse_time(row["last"] or row["first"])

    def last(self, kind: str, camera_id: str | None = None) -> Event | None:
        """Return the newest event of a kind, of one camera if given."""
        row = self._store.row(
            "select * from events where kind = ? and (? is null or camera_id = ?) order by at desc, id desc limit 1",
            [kind, camera_id, camera_id],
        )
        return _to_event(row) if row else None


def _to_event(row: Row) -> Event:
    return Event(
        event_id=row["id"],
        at=clocks.parse_time(row["at"]),
        kind=row["kind"],
        camera_id=row["camera_id"],
        drive_id=row["drive_id"],
        until=parse_moment(row["until"]),
        detail=json.loads(row["detail"]),
    )
