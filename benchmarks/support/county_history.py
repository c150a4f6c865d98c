"""Years of a county in a board's database, written straight into its tables: what pages must stay fast beside.

Each day each box has a morning and an afternoon of its class, with revisions, alerts, gaps, recordings, head and
countersignature; a class lasts 15 days, and today's began today, so that its own pages are the same after a day and
after years.
Statements and heartbeats are left out: no page asks for them by anything but their number.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import Table, insert, select, text

from agent.core.clock import format_utc
from board.store import tables
from board.store.boxes import insert_boxes
from board.store.database import Database

CLASS_DAYS = 15
_AT_ONCE = 20
_REVISIONS, _SEGMENTS, _ALERTS = 6, 4, 2
_SESSIONS = (("am", "08:30", "11:30"), ("pm", "14:00", "17:00"))
_OCCUPATIONS = ("电工", "焊工", "养老护理员", "家政服务员", "中式烹调师", "育婴员")
Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class County:
    """A county of `boxes` boxes with one class each. `now` is within today's morning."""

    boxes: int
    today: date
    zone: ZoneInfo

    @property
    def now(self) -> datetime:
        return datetime.combine(self.today, time(10, 0), self.zone)

    def name_class(self, box: int, back: int) -> str:
        """Return the class at a box so many days ago."""
        return f"C{box}-{-(-back // CLASS_DAYS)}"


def fill_county(database: Database, county: County, days: int) -> None:
    """Write `days` days up to and including today, and let the database look at what it has."""
    with database.write() as connection:
        insert_boxes(connection, [f"wenshui/s{n}/b" for n in range(county.boxes)], None)
        ids = list(connection.execute(select(tables.boxes.c.id).order_by(tables.boxes.c.id)).scalars())
        seen = format_utc(county.now)
        beat = json.dumps({"cameras": [{"camera_id": "cam1", "up": True}], "clock": "trusted", "outbox": 0,
                           "drive": {"drive_id": "d", "days_left": 41.5}, "doctor": {"worst": "ok", "checks": []}})  # fmt: skip
        row = {"state": "online", "beat_at": seen, "last_seen": seen, "beat": beat, "version": "0.3.0"}
        connection.execute(tables.boxes.update().values(row))
        connection.execute(insert(tables.logs), [{"box_id": n, "log": f"{n:032x}", "begun_at": seen} for n in ids])
        logs = {row.box_id: row.id for row in connection.execute(select(tables.logs.c.box_id, tables.logs.c.id))}
    for first in range(0, days, _AT_ONCE):
        made: dict[Table, list[Row]] = defaultdict(list)
        for back in range(first, min(first + _AT_ONCE, days)):
            for number, box_id in enumerate(ids):
                _add_class(made, county, number, box_id, back, newest=back % CLASS_DAYS == 1 or back == 0)
                for place in range(len(_SESSIONS)):
                    _add_half_day(made, county, number, box_id, back, place, logs[box_id])
        with database.write() as connection:
            for table in tables.metadata.sorted_tables:
                if rows := made.get(table):
                    connection.execute(insert(table), rows)
    with database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("analyze"))


def _add_class(
    made: dict[Table, list[Row]], county: County, number: int, box_id: int, back: int, *, newest: bool
) -> None:
    """Add the approval of the class that is on that day; `newest`: its last day, or today."""
    if not newest:
        return
    class_id = county.name_class(number, back)
    first = county.today if back == 0 else county.today - timedelta(days=back + CLASS_DAYS - 1)
    held = [
        {"date": (first + timedelta(days=n)).isoformat(), "start": start, "end": end, "room_id": "r1", "kind": "theory"}
        for n in range(CLASS_DAYS)
        for _, start, end in _SESSIONS
    ]
    occupation = _OCCUPATIONS[number % len(_OCCUPATIONS)]
    institution, place = f"第{number % 12}职业培训学校", f"文水县某街 {number} 号"
    last = first + timedelta(days=CLASS_DAYS - 1)
    about = {"class_id": class_id, "institution": institution, "place": place, "project": "职业技能提升",
             "occupation": occupation, "class_number": number + 1, "first_day": first.isoformat(),
             "last_day": last.isoformat(), "expected": 30}  # fmt: skip
    search = "\n".join((class_id, institution, place, occupation, f"{occupation}第{number + 1}班")).lower()
    at = format_utc(datetime.combine(first, time(), county.zone))
    body = json.dumps(about | {"lessons": held}, ensure_ascii=False)
    made[tables.classes].append(about | {"approved_at": at, "body": body, "search": search})
    made[tables.class_boxes].append({"class_id": class_id, "box_id": box_id, "first_seen": at})


def _add_half_day(
    made: dict[Table, list[Row]], county: County, number: int, box_id: int, back: int, place: int, log_id: int
) -> None:
    session, start, _ = _SESSIONS[place]
    day = county.today - timedelta(days=back)
    if back == 0 and session == "pm":
        return
    begun = datetime.combine(day, time.fromisoformat(start), county.zone)
    times = [format_utc(begun + timedelta(minutes=15 * (n + 1))) for n in range(_REVISIONS)]
    class_id, status = county.name_class(number, back), "final" if back else "provisional"
    key = {"box_id": box_id, "class_id": class_id, "date": day.isoformat(), "session": session}
    counts = {"present": 28, "low": 27, "high": 29}
    for revision, at in enumerate(times, 1):
        made[tables.attendance].append(
            key | counts | {"revision": revision, "status": status, "at": at, "body": '{"rooms":[]}'}
        )
    made[tables.half_days].append(
        key
        | counts
        | {"revision": _REVISIONS, "status": status, "at": times[-1], "first_at": times[0], "expected": 30}
        | {"lesson_s": 10800.0, "judged_s": 9000.0}
    )
    for rows in _list_events(key, begun, times, log_id, number, back, place):
        made[rows[0]].append(rows[1])


def _list_events(
    key: Row, begun: datetime, times: list[str], log_id: int, number: int, back: int, place: int
) -> Iterator[tuple[Table, Row]]:
    """Yield alerts, an alarm now and then, gaps, recordings, head and countersignature of a half-day."""
    for n in range(_ALERTS):
        about = {"alert_id": f"{back}-{place}-{n}", "kind": "picture.dark", "severity": "warning", "since": times[n],
                 "at": times[-1], "message": "画面过暗", "body": "{}"}  # fmt: skip
        yield tables.alerts, key | about | {"state": "raised" if back == 0 and n == 0 else "cleared"}
    if (back + number) % 50 == 0:
        shut = {"acknowledged_at": times[-1], "acknowledged_by": "w", "note": "x"} if back else {}
        about = {"kind": "malformed", "log": "", "number": back, "detail": f"{key['session']}", "evidence": "{}",
                 "raised_at": times[0]}  # fmt: skip
        yield tables.alarms, {"acknowledged_at": None, "acknowledged_by": None, "note": ""} | key | about | shut
    yield tables.gaps, key | {"at": times[-1], "count": 0, "body": "[]"}
    for n in range(_SEGMENTS):
        at = begun + timedelta(minutes=5 * n)
        recorded = {"start": format_utc(at), "end": format_utc(at + timedelta(minutes=5)), "bytes": 150_000_000}
        about = {"log_id": log_id, "number": back * 20 + place * 10 + n, "room_id": "r1", "camera_id": "cam1",
                 "drive_id": "d", "path": f"{key['date']}/{key['session']}/{n}.mp4", "sha256": f"{n:064x}", "serial": "S",
                 "clock": "trusted", "recovered": int((back + n) % 97 == 0)}  # fmt: skip
        yield tables.segments, key | about | recorded
    if back:
        sequence = (back % CLASS_DAYS) * 2 + place + 1
        yield (
            tables.heads,
            key | {"sequence": sequence, "head": f"{back:064x}", "key": "k", "log": f"{log_id:032x}", "number": back,
                   "hash": "0" * 64, "received_at": times[-1], "state": "signed", "reason": ""},
        )  # fmt: skip
        yield (
            tables.countersignatures,
            key | {"sequence": sequence, "head": f"{back:064x}", "text": "t", "signature": "s", "signed_at": times[-1],
                   "published_at": times[-1]},
        )  # fmt: skip
