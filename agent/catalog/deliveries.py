"""Video ranges that were sent to a user and are not in the audit yet.

A player requests one virtual MP4 in many byte ranges. They are collected here, and `settle` writes one audit entry for the
ranges that belong together, so that the audit stays short however a player, or an attacker, splits its requests. The rows
here are not evidence; the audit is.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from agent.catalog.audit import Audit
from agent.catalog.base import CatalogStore, Row, dump_json
from agent.core import clock as clocks
from agent.core.intervals import merge_intervals, subtract_intervals, sum_seconds

DELIVERY_ACTION = "watch.sent"
SETTLE_DELAY = timedelta(minutes=2)
"""How long sent ranges may wait for more before `settle` writes them to the audit."""
_OVER = timedelta(hours=1)
_MOST = 1000
ByteRange = tuple[int, int]
"""Byte range [start, stop)."""
TimeRange = tuple[datetime, datetime]
"""Time span [start, end)."""


class Deliveries:
    """Table `deliveries`. `film` names the virtual MP4; `spans` is what was sent, `told` what the audit has; both are JSON."""

    def __init__(self, store: CatalogStore, audit: Audit, zone: ZoneInfo) -> None:
        self._store, self._audit, self._zone = store, audit, zone

    def add(
        self,
        at: datetime,
        who: str,
        class_id: str,
        camera_id: str,
        film: str,
        sent: ByteRange,
        shown: Callable[[Sequence[ByteRange]], list[TimeRange]],
    ) -> None:
        """Record that the bytes `sent` of a virtual MP4 were sent.

        `shown` converts byte ranges of the file to the time spans that they show.
        """
        key = [who, class_id, camera_id, film]
        with self._store.write() as db:
            row = self._store.row(
                "select * from deliveries where who = ? and class_id = ? and camera_id = ? and film = ?", key
            )
            ranges = merge_intervals([*_load_ranges(row), sent])
            if len(ranges) > _MOST:
                ranges = sorted(sorted(ranges, key=lambda r: r[0] - r[1])[:_MOST])
            told = row["told"] if row else "[]"
            spans = self._dump_spans(shown(ranges))
            waits = row is not None and row["spans"] != told
            begun = row["begun_at"] if row and waits else clocks.format_utc(at)
            db.execute(
                "insert into deliveries (who, class_id, camera_id, film, ranges, spans, told, begun_at, at)"
                " values (?, ?, ?, ?, ?, ?, ?, ?, ?) on conflict (who, class_id, camera_id, film) do update set"
                " ranges = excluded.ranges, spans = excluded.spans, begun_at = excluded.begun_at, at = excluded.at",
                [*key, dump_json(ranges), spans, told, begun, clocks.format_utc(at)],
            )

    def settle(self, at: datetime, class_id: str | None = None, waited: timedelta = timedelta()) -> int:
        """Write waiting deliveries to the audit; return the number of rows settled.

        `class_id`: only those of this class. `waited`: only those that have waited at least this long.
        """
        limit = clocks.format_utc(at - waited)
        with self._store.write() as db:
            rows = self._store.rows(
                "select * from deliveries where spans != told and (? is null or class_id = ?) and begun_at <= ? order by id",
                [class_id, class_id, limit],
            )
            for row in rows:
                self._write_audit(row, at)
                db.execute("update deliveries set told = spans where id = ?", [row["id"]])
            db.execute("delete from deliveries where spans = told and at < ?", [clocks.format_utc(at - _OVER)])
        return len(rows)

    def _write_audit(self, row: Row, at: datetime) -> None:
        fresh = subtract_intervals(_load_spans(row["spans"]), _load_spans(row["told"]))
        if not fresh:
            return
        detail = {
            "camera_id": row["camera_id"],
            "spans": json.loads(self._dump_spans(fresh)),
            "seconds": round(sum_seconds(fresh), 1),
            "from": clocks.format_local(clocks.parse_time(row["begun_at"]), self._zone),
            "to": clocks.format_local(clocks.parse_time(row["at"]), self._zone),
        }
        self._audit.add(at, row["who"], DELIVERY_ACTION, row["class_id"], detail)

    def _dump_spans(self, spans: Sequence[TimeRange]) -> str:
        return dump_json(
            [{"start": clocks.format_local(a, self._zone), "end": clocks.format_local(b, self._zone)} for a, b in spans]
        )


def _load_ranges(row: Row | None) -> list[ByteRange]:
    return [(a, b) for a, b in json.loads(row["ranges"])] if row else []


def _load_spans(text: str) -> list[TimeRange]:
    return merge_intervals(
        (datetime.fromisoformat(x["start"]), datetime.fromisoformat(x["end"])) for x in json.loads(text)
    )
