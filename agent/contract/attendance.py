"""Attendance of a half-day, as published and as the API shows it."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field
from typing_extensions import TypedDict

from agent.contract.classes import ClosedHalfDayBody
from agent.contract.recordings import MissingBody
from agent.contract.values import DateText, Id, Number, OnMqtt, Seconds, SessionText, TimeText, Whole


class CountsBody(TypedDict):
    """Counts of people; null where they cannot be judged."""

    present: Whole | None
    absent: Whole | None
    low: Whole | None
    high: Whole | None
    ratio: Number | None
    at_start: Whole | None
    at_end: Whole | None
    lesson_s: Seconds
    judged_s: Seconds


class FiguresBody(CountsBody):
    """Counts of people against the approved headcount."""

    expected: Whole | None


class RoomFiguresBody(FiguresBody):
    """The same for one room."""

    room_id: Id


class AttendanceBody(FiguresBody):
    """到课人数（视频估计）: counts of people, never of persons."""

    class_id: Id
    date: DateText
    session: SessionText
    status: Literal["provisional", "final", "revised", "unjudged"]
    revision: Annotated[int, Field(ge=0), OnMqtt(minimum=1)]
    rooms: list[RoomFiguresBody]


class AttendanceMessage(AttendanceBody):
    """Attendance as it is published; `replayed` is set by the bureau link."""

    replayed: bool


class AttendanceListBody(TypedDict):
    """Attendance of each half-day."""

    items: list[AttendanceBody]
    next: str | None


class LessonFiguresBody(TypedDict):
    """A lesson and its figures."""

    start: TimeText
    end: TimeText
    room_id: Id
    kind: Literal["theory", "practice"]
    content: str
    present: Whole | None
    low: Whole | None
    high: Whole | None
    at_start: Whole | None
    at_end: Whole | None
    lesson_s: Whole
    judged_s: Whole


class CurvePointBody(TypedDict):
    """Estimate of at most five minutes."""

    start: TimeText
    end: TimeText
    present: Whole | None
    low: Whole | None
    high: Whole | None


class AttendanceFindingBody(TypedDict):
    """A stretch of lesson time that stands out."""

    kind: Literal["late_start", "early_end", "empty", "interrupted", "over"]
    start: TimeText
    end: TimeText
    seconds: Whole


class HalfDayFiguresBody(AttendanceBody):
    """A half-day with lessons, curve and findings."""

    lessons: list[LessonFiguresBody]
    curve: list[CurvePointBody]
    findings: list[AttendanceFindingBody]


class HalfDayBody(HalfDayFiguresBody):
    """The same with the time that has no video, and the half-day's closing; null while it is open."""

    missing: MissingBody
    closed: ClosedHalfDayBody | None
