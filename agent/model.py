"""The values that stages exchange. Standard library only; words as in docs/glossary.md.

Times are aware UTC datetimes unless a name says otherwise; `date` and `session` are the site's local half-day.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum
from typing import Any, Literal

ID_PATTERN = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{0,31}\Z")


def is_id(value: str) -> bool:
    """True for the contract's IDs (county, site, box, class, camera, room)."""
    return ID_PATTERN.match(value) is not None


class Session(StrEnum):
    """A half-day. `folder` is its name on the drive and on forms."""

    AM = "am"
    PM = "pm"
    EV = "ev"

    @property
    def folder(self) -> str:
        return {"am": "上午", "pm": "下午", "ev": "晚上"}[self.value]

    @property
    def order(self) -> int:
        return ("am", "pm", "ev").index(self.value)

    @staticmethod
    def of(local: datetime) -> Session:
        """By the lesson's start in local time: before 12:00, before 18:00, later."""
        return Session.AM if local.hour < 12 else Session.PM if local.hour < 18 else Session.EV


class Verdict(StrEnum):
    ADMITTED = "admitted"
    FAULTY = "faulty"
    REFUSED = "refused"
    UNREACHABLE = "unreachable"

    @property
    def recordable(self) -> bool:
        return self in (Verdict.ADMITTED, Verdict.FAULTY)


class AlertKind(StrEnum):
    ATTENDANCE_SHORTFALL = "attendance.shortfall"
    ATTENDANCE_EMPTY = "attendance.empty"
    ATTENDANCE_LATE_START = "attendance.late_start"
    ATTENDANCE_EARLY_END = "attendance.early_end"
    ATTENDANCE_OVER = "attendance.over"
    PRACTICE_GROUP = "practice.group"
    CAMERA_OFFLINE = "camera.offline"
    CAMERA_REFUSED = "camera.refused"
    CAMERA_FAULTY = "camera.faulty"
    CAMERA_CLOCK = "camera.clock"
    CAMERA_EXCHANGED = "camera.exchanged"
    CAMERA_UNVERIFIED = "camera.unverified"
    PICTURE_DARK = "picture.dark"
    PICTURE_BLURRED = "picture.blurred"
    PICTURE_COVERED = "picture.covered"
    PICTURE_FROZEN = "picture.frozen"
    PICTURE_MOVED = "picture.moved"
    PICTURE_WASHED_OUT = "picture.washed_out"
    SOUND_MISSING = "sound.missing"
    SOUND_SILENT = "sound.silent"
    SOUND_CLIPPED = "sound.clipped"
    DRIVE_MISSING = "drive.missing"
    DRIVE_WRONG = "drive.wrong"
    DRIVE_READ_ONLY = "drive.read_only"
    DRIVE_DENIED = "drive.denied"
    DRIVE_ERROR = "drive.error"
    DRIVE_FILLING = "drive.filling"
    DRIVE_FULL = "drive.full"
    BOX_DISK_FULL = "box.disk_full"
    CLOCK_STEPPED = "clock.stepped"
    AGENT_RESTARTED = "agent.restarted"
    ACCOUNT_CHANGED = "account.changed"
    BOX_DUPLICATE = "box.duplicate"


Severity = Literal["info", "warning", "critical"]
LessonKind = Literal["theory", "practice"]


@dataclass(frozen=True, slots=True)
class Bench:
    """One practice bench: polygon in parts of the picture's width and height (0 to 1), at most `limit` trainees."""

    name: str
    camera_id: str
    polygon: tuple[tuple[float, float], ...]
    limit: int = 5


@dataclass(frozen=True, slots=True)
class Room:
    """`view` says how several cameras of one room combine: `whole` (the best view counts), `part` (they add up)."""

    room_id: str
    name: str
    kind: LessonKind
    cameras: tuple[str, ...]
    view: Literal["whole", "part"] = "whole"
    benches: tuple[Bench, ...] = ()


@dataclass(frozen=True, slots=True)
class Lesson:
    """One row of the course plan; `cancelled` ones are neither absence nor gap."""

    date: date
    session: Session
    start: datetime
    end: datetime
    room_id: str
    kind: LessonKind
    content: str = ""
    teacher: str = ""
    staff_in_room: int = 1
    cancelled: bool = False


@dataclass(frozen=True, slots=True)
class Amendment:
    """A change approved after the class opened; it rules from half-day (`first_date`, `first_session`) on.

    `changes` holds the class file's own keys (expected, place, last_day, staff …) with their new values; lessons that
    an amendment cancels, moves or adds are already worked into `TrainingClass.lessons`.
    """

    approved: date
    first_date: date
    first_session: Session
    reason: str
    changes: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class TrainingClass:
    """One intake of trainees, as approved. `expected` is the opening headcount; ask `expected_on` for a half-day.
    `plan_source` is `file` where the bureau approved the class without a plan and the institution gave it, else empty."""

    class_id: str
    project: str
    occupation: str
    class_number: int
    institution: str
    place: str
    first_day: date
    last_day: date
    expected: int
    head_teacher: str = ""
    staff: tuple[str, ...] = ()
    rooms: tuple[Room, ...] = ()
    lessons: tuple[Lesson, ...] = ()
    amendments: tuple[Amendment, ...] = ()
    plan_source: Literal["", "file"] = ""

    def expected_on(self, day: date, session: Session) -> int:
        """The approved headcount that rules a half-day: the last amendment at or before it, else the opening one."""
        base = self.expected
        for amendment in sorted(self.amendments, key=lambda a: (a.first_date, a.first_session.order, a.approved)):
            begun = (amendment.first_date, amendment.first_session.order) <= (day, session.order)
            if begun and "expected" in amendment.changes:
                base = int(amendment.changes["expected"])
        return base

    def room(self, room_id: str) -> Room:
        return next(room for room in self.rooms if room.room_id == room_id)

    def half_days(self) -> list[tuple[date, Session]]:
        """Half-days that hold at least one lesson that was not cancelled, in order."""
        found = {(x.date, x.session) for x in self.lessons if not x.cancelled}
        return sorted(found, key=lambda pair: (pair[0], pair[1].order))

    def lessons_of(self, day: date, session: Session) -> list[Lesson]:
        rows = [x for x in self.lessons if (x.date, x.session) == (day, session) and not x.cancelled]
        return sorted(rows, key=lambda x: x.start)


@dataclass(frozen=True, slots=True)
class Stream:
    """One media profile. `uri` never carries credentials; `codec` is h264, h265, jpeg …; `audio` None: no sound."""

    name: str
    uri: str
    codec: str | None = None
    width: int | None = None
    height: int | None = None
    fps: float | None = None
    keyframe_interval: int | None = None
    bitrate_kbps: int | None = None
    audio: str | None = None


@dataclass(frozen=True, slots=True)
class Camera:
    """What is known of one camera. `serial` and names come from the wire: data, never a topic or a path.

    `url` is the device service that told its identity, `checked_at` when model and serial were last read there and agreed
    with this row, `connected_at` when the recorder began the connection that it has or had last. `accepted` is the identity
    that was accepted under this name; `judged` the last verdict other than unreachable; `successor` the ID of another camera
    that answers in its place now.
    """

    camera_id: str
    address: str
    endpoint: str = ""
    manufacturer: str = ""
    model: str = ""
    firmware: str = ""
    serial: str = ""
    hardware_id: str = ""
    verdict: Verdict = Verdict.UNREACHABLE
    reasons: tuple[str, ...] = ()
    streams: tuple[Stream, ...] = ()
    clock_offset_s: float | None = None
    up: bool = False
    url: str = ""
    accepted: str = ""
    judged: Verdict = Verdict.UNREACHABLE
    successor: str = ""
    checked_at: datetime | None = None
    connected_at: datetime | None = None

    @property
    def identity(self) -> str:
        """The serial; where it is empty, the hardware ID."""
        return self.serial or self.hardware_id

    @property
    def recordable(self) -> bool:
        """Whether its stream may be recorded: also where its ONVIF service is silent, unless another unit is in its place."""
        verdict = self.judged if self.verdict is Verdict.UNREACHABLE else self.verdict
        return verdict.recordable and not self.successor

    @property
    def exchanged(self) -> bool:
        """Whether another unit than the accepted one stands under this name."""
        return bool(self.accepted) and self.accepted != self.identity

    @property
    def unverified_since(self) -> datetime | None:
        """The last check of the identity, where it was not read on the connection that is being recorded; else None."""
        if not self.up or self.connected_at is None:
            return None
        if self.checked_at is None:
            return self.connected_at
        return self.checked_at if self.checked_at < self.connected_at else None

    @property
    def main_stream(self) -> Stream | None:
        return self.streams[0] if self.streams else None


class UnitCheck(StrEnum):
    """What a question for a camera's identity found: its own unit, another one, or no answer."""

    SAME = "same"
    OTHER = "other"
    SILENT = "silent"


Trust = Literal["trusted", "free", "unknown"]


@dataclass(frozen=True, slots=True)
class Segment:
    """One recorded file. `path` is relative to the drive's root, with `/`. While it is open, `temporary` is the path
    that exists and `end`, `bytes`, `sha256` are None. `start` is the instant of the first video frame, `end` that of
    the end of the last. `serial` is the camera's that was recorded; `unchecked_since` the last check of its identity
    where it could not be read on this connection, else None."""

    segment_id: int
    drive_id: str
    path: str
    temporary: str
    state: Literal["open", "finished"]
    class_id: str
    date: date
    session: Session
    room_id: str
    camera_id: str
    start: datetime
    end: datetime | None = None
    bytes: int | None = None
    sha256: str | None = None
    video_codec: str = ""
    width: int = 0
    height: int = 0
    audio_codec: str | None = None
    trust: Trust = "unknown"
    sender_time: datetime | None = None
    serial: str = ""
    unchecked_since: datetime | None = None


@dataclass(frozen=True, slots=True)
class Look:
    """One key frame judged for people. `boxes` are (x1, y1, x2, y2, score) in pixels; `people` includes staff."""

    camera_id: str
    room_id: str
    class_id: str
    date: date
    session: Session
    at: datetime
    people: int
    low: int
    high: int
    judged: bool
    reason: str | None = None
    boxes: tuple[tuple[float, float, float, float, float], ...] = ()
    width: int = 0
    height: int = 0
    quality: Mapping[str, float] = field(default_factory=dict)
    detector: str = ""


@dataclass(frozen=True, slots=True)
class Gap:
    """A stretch of planned time without video of one camera."""

    camera_id: str
    date: date
    session: Session
    start: datetime
    end: datetime
    reason: str
    event: int | None = None
    room_id: str = ""

    @property
    def seconds(self) -> float:
        return (self.end - self.start).total_seconds()


GapReason = Literal[
    "camera_offline", "stream_stalled", "drive_missing", "drive_full", "agent_down", "power_loss", "clock_step",
    "not_admitted", "camera_exchanged", "schedule",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Alert:
    """`subject` is what it is about (camera, drive, class half-day …): one open alert a kind and subject. `alert_id` is
    made from kind, subject and `since`, so sending it again doubles nothing.

    `first_message` is the cause, as it was raised; `latest_message` what was said last while it stood. `message` is the latest
    while it is open, and the cause once it is cleared: that is what stays in the record."""

    alert_id: str
    kind: AlertKind
    state: Literal["raised", "updated", "cleared"]
    severity: Severity
    since: datetime
    at: datetime
    message: str
    subject: str = ""
    class_id: str | None = None
    date: date | None = None
    session: Session | None = None
    camera_id: str | None = None
    evidence: Mapping[str, Any] = field(default_factory=dict)
    first_message: str = ""
    latest_message: str = ""
