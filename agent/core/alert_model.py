"""Values of an alert, and the kinds of alerts. Standard library only."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum
from typing import Literal

from agent.core.model import JsonObject, Session

Severity = Literal["info", "warning", "critical"]


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
    PICTURE_REPLAYED = "picture.replayed"
    PICTURE_LIFELESS = "picture.lifeless"
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
    EVIDENCE_ROLLBACK = "evidence.rollback"


@dataclass(frozen=True, slots=True)
class Alert:
    """An alert as it stands; at most one is open for each kind and subject.

    `subject` is what it is about (camera, drive, class half-day …). `alert_id` is made from kind, subject and
    `since`, so that sending it again creates no duplicate.

    `first_message` is the cause, as it was raised; `latest_message` the last message while it was open. `message` is
    the latest one while it is open, and the cause once it is cleared: that is what stays in the record.
    """

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
    evidence: JsonObject = field(default_factory=dict)
    first_message: str = ""
    latest_message: str = ""
