"""What of a film was really sent to whom, until the audit has it.

A player asks for one film in many ranges. They are gathered here, and the audit gets one entry for what came together
(`settle`), so that it stays short however a player, or somebody with bad intent, cuts them. The rows are no evidence: the
audit is.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from agent import clock as clocks
from agent.catalog.audit import Audit
from agent.catalog.base import Row, Store, dump
from agent.intervals import length, union, without

ACTION = "watch.sent"
WAIT = timedelta(minutes=2)
"""So long may what was sent wait for more before the audit gets it."""
_OVER = timedelta(hours=1)
_MOST = 1000
Bytes = tuple[int, int]
Stretch = tuple[datetime, datetime]


class Deliveries:
    def __init__(self, store: Store, audit: Audit, zone: ZoneInfo) -> None:
        self._store, self._audit, self._zone = store, audit, zone

    def add(
        self, at: datetime, who: str, class_id: str, camera_id: str, film: str, sent: Bytes,
        shown: Callable[[Sequence[Bytes]], list[Stretch]],
    ) -> None:  # fmt: skip
        """The bytes [start, stop) of a film went out; `shown` tells which time all of its bytes together show."""
        key = [who, class_id, camera_id, film]
        with self._store.write() as db:
            row = self._store.row(
                "select * from deliveries where who = ? and class_id = ? and camera_id = ? and film = ?", key
            )
            ranges = union([*_bytes(row), sent])
            if len(ranges) > _MOST:
                ranges = sorted(sorted(ranges, key=lambda r: r[0] - r[1])[:_MOST])
            told = row["told"] if row else "[]"
            spans = self._text(shown(ranges))
            waits = row is not None and row["spans"] != told
            begun = row["begun_at"] if row and waits else clocks.stamp(at)
            db.execute(
                "insert into deliveries (who, class_id, camera_id, film, ranges, spans, told, begun_at, at)"
                " values (?, ?, ?, ?, ?, ?, ?, ?, ?) on conflict (who, class_id, camera_id, film) do update set"
                " ranges = excluded.ranges, spans = excluded.spans, begun_at = excluded.begun_at, at = excluded.at",
                [*key, dump(ranges), spans, told, begun, clocks.stamp(at)],
            )

    def settle(self, at: datetime, class_id: str | None = None, waited: timedelta = timedelta()) -> int:
        """Put into the audit what waits (of one class only; for at least so long only); return how many entries that made."""
        limit = clocks.stamp(at - waited)
        with self._store.write() as db:
            rows = self._store.rows(
                "select * from deliveries where spans != told and (? is null or class_id = ?) and begun_at <= ? order by id",
                [class_id, class_id, limit],
            )
            for row in rows:
                self._tell(row, at)
                db.execute("update deliveries set told = spans where id = ?", [row["id"]])
            db.execute("delete from deliveries where spans = told and at < ?", [clocks.stamp(at - _OVER)])
        return len(rows)

    def _tell(self, row: Row, at: datetime) -> None:
        fresh = without(_spans(row["spans"]), _spans(row["told"]))
        if not fresh:
            return
        detail = {
            "camera_id": row["camera_id"], "spans": json.loads(self._text(fresh)), "seconds": round(length(fresh), 1),
            "from": clocks.rfc3339(clocks.parse(row["begun_at"]), self._zone),
            "to": clocks.rfc3339(clocks.parse(row["at"]), self._zone),
        }  # fmt: skip
        self._audit.add(at, row["who"], ACTION, row["class_id"], detail)

    def _text(self, spans: Sequence[Stretch]) -> str:
        return dump([{"start": clocks.rfc3339(a, self._zone), "end": clocks.rfc3339(b, self._zone)} for a, b in spans])


def _bytes(row: Row | None) -> list[Bytes]:
    return [(a, b) for a, b in json.loads(row["ranges"])] if row else []


def _spans(text: str) -> list[Stretch]:
    return union((datetime.fromisoformat(x["start"]), datetime.fromisoformat(x["end"])) for x in json.loads(text))
