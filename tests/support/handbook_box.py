"""The box that the handbooks' pictures show: a drawn class on a morning and at work in the afternoon.

The clock stands still, so that the same pages come out each time.
"""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path

from agent import i18n
from agent.attendance import figures
from agent.attendance.judge import JudgementRules
from agent.catalog.health import Examination, HealthFinding
from agent.class_files.classes import parse_class
from agent.core.alert_model import AlertKind
from agent.core.camera_model import Camera, Stream, Verdict
from agent.core.model import Look, Segment, Session
from agent.core.sign_in import SignInCount
from agent.doctor.finding import report_ok, report_problem
from agent.web.options import WebOptions
from agent.web.server import PageServer
from simulator.scene import make_classroom
from tests.support.clip_factory import CLASS, DAY, ZONE, ClipBox, make_box
from tests.support.clocks import HandClock
from tests.support.web_client import own_password

ID = str(CLASS["class_id"])
LESSONS = [
    {"date": "2025-03-10", "start": start, "end": end, "room_id": "R101", "kind": "theory", "content": content}
    for start, end, content in (
        ("08:30", "10:00", "安全用电"),
        ("10:20", "11:50", "电工基础"),
        ("14:00", "15:30", "电工仪表"),
    )
]
PIECE = timedelta(minutes=5)


def at(clock: str, day: date = DAY) -> datetime:
    return datetime.fromisoformat(f"{day.isoformat()}T{clock}").replace(tzinfo=ZONE)


NOW = at("14:26:40")


@dataclass
class Office:
    """A page that is served, with the certificate's word for it."""

    page: PageServer

    def account(self, name: str, role: str) -> str:
        """The new account's own password."""
        return own_password(self.page, name, role)


def draw_film(path: Path) -> Path:
    """Five minutes of the demo's drawn class."""
    return make_classroom(path, [(0.0, 8)], PIECE.total_seconds(), 1, (960, 540))


@contextmanager
def office(root: Path, language: i18n.Language, film: Path) -> Iterator[Office]:
    """`film` is what `draw_film` made."""
    box = make_box(root)
    lost = _lost(language)
    body = CLASS | {"lessons": LESSONS, "expected": 8}
    box.catalog.classes.put(ID, body, "file", NOW)
    cls = parse_class(body, ZONE, "handbook")
    _morning(box, film, lost)
    _afternoon(box, film, lost)
    box.catalog.attendance.put(
        figures.load_half_day_figures(box.catalog, cls, DAY, Session.AM, NOW, JudgementRules()).body, NOW
    )
    box.catalog.sign_ins.put(SignInCount(ID, DAY, Session.AM, 8, 8, "file", "班主任", NOW))
    box.catalog.health.put(Examination(at("14:23:12"), tuple(findings())))
    clock = HandClock(NOW)
    page = PageServer(
        box.catalog,
        clock,
        WebOptions(
            root / "state/page",
            (box.drive.root,),
            root / "state/keys",
            "box-1",
            institution="示例职业培训学校",
            language=language,
            host="127.0.0.1",
            port=0,
        ),
        lambda: [cls],
    )
    stop = threading.Event()
    thread = threading.Thread(target=page.run, args=(stop,))
    thread.start()
    try:
        yield Office(page)
    finally:
        stop.set()
        thread.join(10)
        box.catalog.close()
    assert not thread.is_alive()


def _lost(language: i18n.Language) -> str:
    """What the recorder says of a camera that went away."""
    detail = i18n.translate_to(language, "recording.not_found")
    return i18n.translate_to(language, "recording.offline", camera_id="cam2", detail=detail)


def _morning(box: ClipBox, film: Path, lost: str) -> None:
    """Whole but for a quarter of an hour in which the second camera had lost its cable."""
    away = at("09:20"), at("09:35")
    for camera_id in ("cam1", "cam2"):
        moment = at("08:15")
        while moment < at("12:05"):
            if camera_id == "cam1" or not away[0] <= moment < away[1]:
                _segment(box, film, camera_id, moment)
            moment += PIECE
    event = box.catalog.events.add("camera.down", away[0], camera_id="cam2")
    box.catalog.events.end(event, away[1])
    box.catalog.alerts.raise_(
        AlertKind.CAMERA_OFFLINE, "cam2", lost, away[0], camera_id="cam2", class_id=ID, day=DAY, session=Session.AM
    )
    box.catalog.alerts.clear(AlertKind.CAMERA_OFFLINE, "cam2", away[1])
    moment = at("08:20")
    while moment < at("12:00"):
        people = _people(moment)
        box.catalog.looks.add(
            Look("cam1", "R101", ID, DAY, Session.AM, moment, people, max(0, people - 1), people + 1, True)
        )
        moment += timedelta(seconds=20)


def _people(moment: datetime) -> int:
    """Who is in view: they come by twos, go out in the break, and one leaves early."""
    if moment < at("08:34"):
        return 2 + 2 * int((moment - at("08:20")) / timedelta(minutes=5))
    if at("10:01") < moment < at("10:19"):
        return 3
    return 8 if moment < at("11:20") else 7


def _segment(box: ClipBox, film: Path, camera_id: str, moment: datetime) -> None:
    folder = box.drive.root / camera_id
    folder.mkdir(exist_ok=True)
    path = folder / f"{moment:%H%M%S}.mp4"
    shutil.copy(film, path)
    box.enter(path, moment, moment + PIECE, camera_id, box.drive.relative(path))


def _afternoon(box: ClipBox, film: Path, lost: str) -> None:
    """The class is on: one camera records, the other has just been lost."""
    stream = Stream("main", "rtsp://192.168.1.11/1", "h264", 1920, 1080, 25.0, audio="aac")
    box.catalog.cameras.put(
        Camera(
            "cam1", "192.168.1.11", manufacturer="Example", model="VC-2", verdict=Verdict.ADMITTED, streams=(stream,)
        ),
        NOW,
    )
    box.catalog.cameras.set_up("cam1", True)
    box.catalog.cameras.put(Camera("cam2", "192.168.1.12", verdict=Verdict.UNREACHABLE, reasons=(lost,)), NOW)
    shutil.copy(film, box.drive.root / "live.part")
    start = NOW - PIECE
    box.catalog.segments.open(
        Segment(0, box.drive.drive_id, "live.mp4", "live.part", "open", ID, DAY, Session.PM, "R101", "cam1", start)
    )
    box.catalog.looks.add(Look("cam1", "R101", ID, DAY, Session.PM, NOW - timedelta(seconds=12), 8, 7, 9, True))
    box.catalog.alerts.raise_(AlertKind.CAMERA_OFFLINE, "cam2", lost, NOW, camera_id="cam2", class_id=ID)


def findings() -> list[HealthFinding]:
    """A box with one fault and one thing to see to, in the doctor's own words."""
    root = "/media/evidence"
    return [
        report_ok("service", "service.ok", version="0.1.0"),
        report_ok(
            "cameras.cam1", "cameras.ok", camera_id="cam1", address="192.168.1.11", model="VC-2", size="1920×1080 h264"
        ),
        report_problem("cameras.cam2", "critical", "cameras.not_recording", camera_id="cam2", address="192.168.1.12"),
        report_ok("clock", "clock.ok", local="2025-03-10 14:23:12", source="chrony"),
        report_ok(f"drive.{root}", "drive.ok", root=root, drive_id="D-7F3A", label="第1号盘"),
        report_problem(f"drive.{root}.space", "warning", "drive.space_low", root=root, free="151.0", days="9"),
        report_ok("model", "model.ok", version="head-yolo11n"),
        report_ok("bureau", "bureau.ok", host="mqtt.example", port=8883),
        report_ok("certificate.page", "certificate.ok", file="page.pem", end="2035-03-08"),
        report_ok("database.space", "disk.ok", path="/var/lib/site-agent", free="41.2"),
        report_ok("rights", "rights.ok"),
    ]
