"""What was recorded, what is missing, and the looks taken out of it."""

from __future__ import annotations

from typing import Literal

from typing_extensions import TypedDict

from agent.contract.values import DateText, Id, Number, SessionText, TimeText, Whole


class RoomMissingBody(TypedDict):
    """TimeText without video of one room."""

    room_id: Id
    seconds: Number
    lesson_seconds: Number


class CameraMissingBody(TypedDict):
    """TimeText without video of one camera."""

    camera_id: Id
    room_id: Id
    seconds: Number


class MissingBody(TypedDict):
    """Planned time without video up to now.

    seconds: at least one room had no camera with video, each instant once; lesson_seconds: what of it lies in lessons, not in
    breaks; rooms and cameras: each one's own, never added up; what misses nothing may be left out.
    """

    seconds: Number
    lesson_seconds: Number
    rooms: list[RoomMissingBody]
    cameras: list[CameraMissingBody]


class GapBody(TypedDict):
    """Planned time without video of one camera."""

    camera_id: Id
    date: DateText
    session: SessionText
    start: TimeText
    end: TimeText
    seconds: Number
    reason: str
    event: Whole | None
    room_id: Id


class GapListBody(TypedDict):
    """Gaps in order of time; `missing` is of the class, day or half-day asked for, whatever camera."""

    items: list[GapBody]
    next: str | None
    missing: MissingBody


class SegmentBody(TypedDict):
    """A recorded file; `path` is on the drive."""

    segment_id: Whole
    drive_id: str
    path: str
    class_id: Id
    date: DateText
    session: SessionText
    room_id: Id
    camera_id: Id
    start: TimeText
    end: TimeText
    bytes: Whole | None
    sha256: str | None
    video: str
    width: Whole
    height: Whole
    sound: str | None
    clock: Literal["trusted", "free", "unknown"]
    serial: str | None
    unchecked_since: TimeText | None


class SegmentListBody(TypedDict):
    """Recorded files by number."""

    items: list[SegmentBody]
    next: Whole | None


class LookBody(TypedDict):
    """A headcount of one picture; `people` includes staff."""

    camera_id: Id
    room_id: Id
    at: TimeText
    people: Whole
    low: Whole
    high: Whole
    judged: bool
    reason: str | None
    detector: str


class LookListBody(TypedDict):
    """Looks in order of time."""

    items: list[LookBody]
    next: str | None
