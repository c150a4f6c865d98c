"""Pages of a box with five years of classes and eight cameras, compared with those of a box with one class in the same run.

The large catalog has over a million finished segments, one look per segment (every 20 s in the class that is opened), and the
attendance, hash chain, alerts, events and audit of those years. Pages are requested from the real server over TLS, in turn.

Usage: scripts/bench page [--segments N] [--rounds N] [--json FILE]. Prints a line per page and a JSON object at the end. Exit
status 1 if a class, half-day, form or clip page takes more than 1.5 times as long.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import re
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any, TypeAlias

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from bench_support.results import add_json_option, write_result  # noqa: E402

from agent import clock  # noqa: E402
from agent.attendance.classes import parse  # noqa: E402
from agent.catalog import Catalog  # noqa: E402
from agent.catalog.audit import GENESIS, hash_of  # noqa: E402
from agent.clock import SystemClock  # noqa: E402
from agent.demo.media import make_clip  # noqa: E402
from agent.model import Look, Session  # noqa: E402
from agent.web.options import Options  # noqa: E402
from agent.web.server import PageServer  # noqa: E402
from agent.wiring import ClassBook  # noqa: E402
from tests.clipping import CLASS, DAY, START, ZONE, Box, make_box  # noqa: E402
from tests.webbing import Browser  # noqa: E402

JsonObject: TypeAlias = dict[str, Any]
BOUND = 1.5
BOUND_PAGES = ("class", "half-day", "form 11", "cut", "clip")
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
                    [class_id, day.isoformat(), session, json.dumps(figures), clock.stamp(START)],
                )
                head = hashlib.sha256(f"{class_id}{sequence}".encode()).hexdigest()
                db.execute(
                    "insert into chain values (?, ?, ?, ?, ?, ?, '', ?)",
                    [class_id, day.isoformat(), session, sequence, drive_id, head, clock.stamp(START)],
                )
                for room_id, camera in cameras:
                    if camera == leave and (day, session) == (DAY, "am"):
                        continue
                    for at in list_instants(day, session):
                        start, end = clock.stamp(at), clock.stamp(at + SEGMENT)
                        path = f"{class_id}_x/{day}/{session}/{room_id}_{camera}/{at:%H%M%S}.mp4"
                        digest = hashlib.sha256(path.encode()).hexdigest()
                        segments.append(
                            (drive_id, path, class_id, day.isoformat(), session, room_id, camera, start, end, digest)
                        )
                        looks.append((camera, room_id, class_id, day.isoformat(), session, start))
            for kind in ("camera.down", "stream.stalled"):
                at = clock.stamp(datetime(day.year, day.month, day.day, 7, tzinfo=ZONE))
                db.conn.executemany(
                    "insert into events (at, kind, camera_id, until, detail) values (?, ?, ?, ?, '{}')",
                    [(at, kind, camera, at) for _, camera in cameras],
                )
            name = hashlib.sha256(f"{class_id}{day}".encode()).hexdigest()[:32]
            db.execute(
                "insert into alerts values"
                " (?, 'picture.dark', ?, 'cleared', 'warning', ?, ?, 'dark', ?, ?, 'am', 'cam1', '{}', 0)",
                [name, name, at, at, class_id, day.isoformat()],
            )
        db.conn.executemany(
            "insert into segments (drive_id, path, temporary, state, class_id, date, session, room_id, camera_id, start, end,"
            " bytes, sha256, video_codec, width, height, audio_codec, trust) values (?, ?, '', 'finished', ?, ?, ?, ?, ?, ?, ?,"
            " 75000000, ?, 'h264', 1920, 1080, 'aac', 'trusted')",
            segments,
        )
        db.conn.executemany(
            "insert or ignore into looks (camera_id, room_id, class_id, date, session, at, people, low, high, judged, boxes,"
            " width, height, quality, detector)"
            " values (?, ?, ?, ?, ?, ?, 20, 19, 21, 1, '[]', 1920, 1080, '{}', 'bench')",
            looks,
        )
    catalog.changes.forget_all()
    return len(segments)


def write_audits(catalog: Catalog, count: int) -> None:
    """Write a chain of audit entries, as after years of inspections."""
    rows, previous, at = [], GENESIS, clock.stamp(START)
    for number in range(1, count + 1):
        fields = (number, at, "somebody@10.0.0.9", "view.class", f"C{number % 150}", "{}")
        digest = hash_of(previous, *fields)
        rows.append((*fields, previous, digest))
        previous = digest
    with catalog.store.write() as db:
        db.conn.executemany("insert into audit values (?, ?, ?, ?, ?, ?, ?, ?)", rows)
    catalog.changes.forget_all()


def make_large_box(root: Path, segments: int, material: Path) -> tuple[Box, int]:
    """Make a box with real video of the first minutes of its class of DAY; add classes until there are so many segments."""
    root.mkdir()
    box = make_box(root)
    body = make_class(str(CLASS["class_id"]), DAY)
    box.cls = parse(body, ZONE, "bench")
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


class SignedInBrowser:
    """A page server of one box and a browser that is signed in there."""

    def __init__(self, box: Box) -> None:
        self.box = box
        options = Options(
            box.root / "state" / "page",
            (box.drive.root,),
            box.root / "state" / "keys",
            "box-1",
            host="127.0.0.1",
            port=0,
        )
        self.server = PageServer(box.catalog, SystemClock(), options, ClassBook(box.catalog).all)
        self.stop = threading.Event()
        self.thread = threading.Thread(target=self.server.run, args=(self.stop,))
        self.thread.start()
        self.browser = Browser(self.server.url, options.folder / "tls" / "page.pem")
        self.browser.first_sign_in("bench", self.server.site.access.make("bench", "bureau"))
        self.token = self.browser.token()
        self.half = f"/classes/{box.cls.class_id}/{DAY}/am"
        self.clip = ""

    def time_page(self, page: str) -> float:
        """Open a page; return the seconds it took. Raises SystemExit for an error page."""
        fields = {"camera": "cam1", "from": "09:00:03", "to": "09:00:14", "why": "", "csrf": self.token}
        paths = {
            "list": "/",
            "class": f"/classes/{self.box.cls.class_id}",
            "half-day": f"{self.half}?camera=cam1&at=09:00:05",
            "form 11": f"{self.half}/form11?at=09:00",
            "clip": self.clip,
            "audit": "/audit",
            "now": "/now",
        }
        begin = time.perf_counter()
        if page == "cut":
            answer = self.browser.submit(self.half + "/clips", fields, allow_redirects=False)
            self.clip = answer.headers.get("Location", "")
        else:
            answer = self.browser.open(paths[page])
        took = time.perf_counter() - begin
        if answer.status_code not in (200, 303):
            raise SystemExit(f"{page}: {answer.status_code} {re.sub('<[^>]+>', ' ', answer.text)[-400:]}")
        return took

    def close(self) -> None:
        self.stop.set()
        self.thread.join()
        self.box.catalog.close()


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--segments", type=int, default=1_050_000)
    parser.add_argument("--rounds", type=int, default=15)
    add_json_option(parser)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bench-page-") as name:
        root = Path(name)
        material = make_clip(root / "material.mp4", 20, size=(320, 192))
        small, _ = make_large_box(root / "small", 0, material)
        large, total = make_large_box(root / "large", options.segments, material)
        browsers = {"small": SignedInBrowser(small), "large": SignedInBrowser(large)}
        classes, pages = len(large.catalog.classes.imported()), {}
        try:
            for page in ("list", "class", "half-day", "form 11", "cut", "clip", "audit", "now"):
                times: dict[str, list[float]] = {"small": [], "large": []}
                first = {size: browser.time_page(page) for size, browser in browsers.items()}
                for _ in range(options.rounds):
                    for size, browser in browsers.items():
                        times[size].append(browser.time_page(page))
                one, five = (statistics.median(times[size]) for size in ("small", "large"))
                pages[page] = {
                    "one_class_s": round(one, 4),
                    "five_years_s": round(five, 4),
                    "ratio": round(five / one, 2),
                }
                print(
                    f"{page}: {one:.4f} s and {five:.4f} s, ratio {five / one:.2f}; first time {first['large']:.3f} s",
                    file=sys.stderr,
                )
        finally:
            for browser in browsers.values():
                browser.close()
        worst = max(pages[page]["ratio"] for page in BOUND_PAGES)
        print(json.dumps({"segments": total, "classes": classes, "pages": pages, "worst_ratio": worst}))
        metrics = {"worst_ratio": worst}
        for page, row in pages.items():
            name = re.sub(r"\W", "_", page)
            metrics |= {f"{name}_s": row["five_years_s"], f"{name}_ratio": row["ratio"]}
        write_result(options.json, "page", "the same pages of a box with one class", options, metrics)
    return 0 if worst <= BOUND else 1


if __name__ == "__main__":
    sys.exit(main())
