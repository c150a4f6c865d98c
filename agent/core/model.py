"""The values that stages exchange. Standard library only; words as in docs/glossary.md.

Times are aware UTC datetimes unless a name says otherwise; `date` and `session` are the site's local half-day.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum
from typing import Any, Literal, NamedTuple

from agent.core.clock import Trust

JsonObject = Mapping[str, Any]
"""A parsed JSON object whose keys depend on its kind (event details, alert evidence, class bodies)."""
ID_PATTERN = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{0,31}\Z")


def is_id(value: str) -> bool:
    """Return True for the contract's IDs (county, site, box, class, camera, room)."""
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
        """Choose by the lesson's start in local time: before 12:00, before 18:00, later."""
        return Session.AM if local.hour < 12 else Session.PM if local.hour < 18 else Session.EV


@dataclass(frozen=True, slots=True)
class Segment:
    """One recorded file.

    `path` is relative to the drive's root, with `/`. While the segment is open, `temporary` is the path that exists
    and `end`, `bytes`, `sha256` are None. `start` is the instant of the first video frame, `end` that of the end of
    the last. `serial` is that of the recorded camera; `unchecked_since` the last check of its identity where it could
    not be read on this connection, else None. `statement` is where the finished segment was stated, as LOG:NUMBER:HASH; "" for
    segments of versions without statements.
    """

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
    statement: str = ""


class PlaceSighting(NamedTuple):
    """A candidate of a look in a place of its camera.

    `chance`: probability that it is a person; `unchanged`: the pixels are as they were when the place's present state began;
    `thing`: it is known to be a thing that stays there, and is not counted.
    """

    place: int
    chance: float
    unchanged: bool = False
    thing: bool = False


@dataclass(frozen=True, slots=True)
class Look:
    """One key frame judged for people. `boxes` are (x1, y1, x2, y2, score) in pixels; `people` includes staff.

    `people`, `low` and `high` are those of the picture alone. `sightings`: its candidates in places, the first ones in the
    order of `boxes`; None if the look was not joined with others.
    """

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
    sightings: tuple[PlaceSighting, ...] | None = None

    @property
    def counted_boxes(self) -> tuple[tuple[float, float, float, float, float], ...]:
        """The boxes without those of things."""
        if self.sightings is None:
            return self.boxes
        return tuple(box for box, seen in zip(self.boxes, self.sightings, strict=False) if not seen.thing)


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
    "camera_offline",
    "stream_stalled",
    "drive_missing",
    "drive_full",
    "agent_down",
    "power_loss",
    "clock_step",
    "not_admitted",
    "camera_exchanged",
    "schedule",
]


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened to a camera, a drive, the clock or the agent.

    `until` is set once a lasting event (a drive missing, a camera down) is over.
    """

    event_id: int
    at: datetime
    kind: str
    camera_id: str | None
    drive_id: str | None
    until: datetime | None
    detail: JsonObject
