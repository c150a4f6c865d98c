"""A box with years of classes in its catalog, for the page bench."""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any, TypeAlias

from agent.catalog import Catalog
from agent.class_files.classes import parse_class
from agent.core import clock as clocks
from agent.core.audit_chain import GENESIS, compute_entry_hash
from agent.core.clock import SystemClock
from agent.core.model import Look, Session
from tests.support.clip_factory import CLASS, DAY, START, ZONE, ClipBox, make_box

JsonObject: TypeAlias = dict[str, Any]
DAYS = 10
SEGMENT = timedelta(minutes=5)
ROOMS = [
    {
        "room_id": f"R{i}",
        "name": f"教室 {i}",
        "kind": "theory" if i < 3 else "practice",
        "cameras": [f"cam{2 * i - 1}", f"cam{2 * i}"],
    }
    for i in range(1, 5)
]
HALVES = {"am": ("08:30", "11:30"), "pm": ("14:00", "17:30")}


def make_class(class_id: str, first: date) -> JsonObject:
    """Return a class of ten days with two half-days each, in four rooms with two cameras."""
    days = [first + timedelta(days=i) for i in range(DAYS)]
    lessons = [
        {"date": day.isoformat(), "start": start, "end": end, "room_id": room["room_id"], "kind": room["kind"]}
        for day in days
        for start, end in HALVES.values()
        for room in ROOMS
    ]
    return {
        **CLASS,
        "class_id": class_id,
        "first_day": days[0].isoformat(),
        "last_day": days[-1].isoformat(),
        "expected": 40,
        "rooms": ROOMS,
        "lessons": lessons,
    }


def list_instants(day: date, session: str) -> Iterator[datetime]:
    """Yield the starts of the segments of a half-day."""
    start, end = (datetime.fromisoformat(f"{day.isoformat()}T{x}").replace(tzinfo=ZONE) for x in HALVES[session])
    at = start - timedelta(minutes=15)
    while at < end + timedelta(minutes=15):
        yield at
        at += SEGMENT


def fill_catalog(catalog: Catalog, drive_id: str, body: JsonObject, *, leave: str = "") -> int:
    """Write the rows of one finished class; return the number of segments.

    `leave`: a camera whose morning of DAY is left out, because there is real video of it.
    """
    class_id, segments, looks = body["class_id"], [], []
    cameras = [(room["room_id"], camera) for room in ROOMS for camera in room["cameras"]]
    days = [date.fromisoformat(body["first_day"]) + timedelta(days=i) for i in range(DAYS)]
    sequence = 0
    with catalog.store.write() as db:
        for day in days:
            for session in HALVES:
                sequence += 1
                figures = {
                    "class_id": class_id,
                    "date": day.isoformat(),
                    "session": session,
                    "expected": 40,
                    "present": 38,
                    "absent": 2,
                    "low": 36,
                    "high": 40,
                    "ratio": 0.95,
                    "at_start": 37,
                    "at_end": 38,
                    "lesson_s": 10800,
                    "judged_s": 10700,
                    "status": "final",
                    "revision": 1,
                    "rooms": [],
                }
                db.execute(
                    "insert into attendance values (?, ?, ?, 1, 'final', ?, ?)",
                    [class_id, day.isoformat(), session, json.dumps(figures), clocks.format_utc(START)],
                )
                head = hashlib.sha256(f"{class_id}{sequence}".encode()).hexdigest()
                db.execute(
                    "insert into chain values (?, ?, ?, ?, ?, ?, '', ?)",
                    [class_id, day.isoformat(), session, sequence, drive_id, head, clocks.format_utc(START)],
                )
                for room_id, camera in cameras:
                    if camera == leave and (day, session) == (DAY, "am"):
                        continue
                    for at in list_instants(day, session):
                        start, end = clocks.format_utc(at), clocks.format_utc(at + SEGMENT)
                        path = f"{class_id}_x/{day}/{session}/{room_id}_{camera}/{at:%H%M%S}.mp4"
                        digest = hashlib.sha256(path.encode()).hexdigest()
                        segments.append(
                            (drive_id, path, class_id, day.isoformat(), session, room_id, camera, start, end, digest)
                        )
                        looks.append((camera, room_id, class_id, day.isoformat(), session, start))
            for kind in ("camera.down", "stream.stalled"):
                at = clocks.format_utc(datetime(day.year, day.month, day.day, 7, tzinfo=ZONE))
                db.executemany(
                    "insert into events (at, kind, camera_id, until, detail) values (?, ?, ?, ?, '{}')",
                    [(at, kind, camera, at) for _, camera in cameras],
                )
            name = hashlib.sha256(f"{class_id}{day}".encode()).hexdigest()[:32]
            db.execute(
                "insert into alerts (alert_id, kind, subject, state, severity, since, at, message, class_id, date, session,"
                " camera_id, evidence) values (?, 'picture.dark', ?, 'cleared', 'warning', ?, ?, 'dark', ?, ?, 'am', 'cam1',"
                " '{}')",
                [name, name, at, at, class_id, day.isoformat()],
            )
        db.executemany(
            "insert into segments (drive_id, path, temporary, state, class_id, date, session, room_id, camera_id, start, end,"
            " bytes, sha256, video_codec, width, height, audio_codec, trust) values (?, ?, '', 'finished', ?, ?, ?, ?, ?, ?, ?,"
            " 75000000, ?, 'h264', 1920, 1080, 'aac', 'trusted')",
            segments,
        )
        db.executemany(
            "insert or ignore into looks (camera_id, room_id, class_id, date, session, at, people, low, high, judged, boxes,"
            " width, height, quality, detector)"
            " values (?, ?, ?, ?, ?, ?, 20, 19, 21, 1, '[]', 1920, 1080, '{}', 'bench')",
            looks,
        )
    catalog.changes.forget_all()
    return len(segments)


def write_audits(catalog: Catalog, count: int) -> None:
    """Write a chain of audit entries, as after years of inspections."""
    rows, previous, at = [], GENESIS, clocks.format_utc(START)
    for number in range(1, count + 1):
        fields = (number, at, "somebody@10.0.0.9", "view.class", f"C{number % 150}", "{}")
        digest = compute_entry_hash(previous, *fields)
        rows.append((*fields, previous, digest))
        previous = digest
    with catalog.store.write() as db:
        db.executemany("insert into audit values (?, ?, ?, ?, ?, ?, ?, ?)", rows)
    catalog.changes.forget_all()


def make_large_box(root: Path, segments: int, material: Path) -> tuple[ClipBox, int]:
    """Make a box with real video of the first minutes of its class of DAY; add classes until there are so many segments."""
    root.mkdir()
    box = make_box(root)
    body = make_class(str(CLASS["class_id"]), DAY)
    box.cls = parse_class(body, ZONE, "bench")
    box.catalog.classes.put(box.cls.class_id, body, "file", SystemClock().now())
    total = fill_catalog(box.catalog, box.drive.drive_id, body, leave="cam1")
    box.record(material, [0, 10, 20])
    for i in range(540):
        at = START + timedelta(seconds=20 * i)
        box.catalog.looks.add(Look("cam1", "R1", box.cls.class_id, DAY, Session.AM, at, 38, 36, 40, True))
    number = 0
    while total < segments:
        number += 1
        first = DAY - timedelta(days=12 * number)
        other = make_class(f"C{number}", first)
        box.catalog.classes.put(other["class_id"], other, "file", SystemClock().now())
        total += fill_catalog(box.catalog, box.drive.drive_id, other)
        print(f"\r{total} segments of {number + 1} classes", end="", file=sys.stderr)
    if number:
        write_audits(box.catalog, 150 * number * DAYS)
        print(file=sys.stderr)
    return box, total
