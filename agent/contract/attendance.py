"""Attendance of a half-day, as published and as the API shows it."""

from __future__ import annotations

from typing import Annotated, Literal, NotRequired

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


class EstimateBody(FiguresBody):
    """到课人数（视频估计）: counts of people, never of persons."""

    class_id: Id
    date: DateText
    session: SessionText
    status: Literal["provisional", "final", "revised", "unjudged"]
    revision: Annotated[int, Field(ge=0), OnMqtt(minimum=1)]
    rooms: list[RoomFiguresBody]


class SignedCountsBody(TypedDict):
    """Sign-ins as the institution states them; null where not stated. They never enter the estimate."""

    signed_in: Whole | None
    signed_out: Whole | None
    source: Literal["typed", "file"]
    at: TimeText


class AttendanceBody(EstimateBody):
    """The estimate of a half-day and beside it the sign-ins, which are left out where none were stated."""

    signed: NotRequired[SignedCountsBody]


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


class HalfDayFiguresBody(EstimateBody):
    """A half-day with lessons, curve and findings."""

    lessons: list[LessonFiguresBody]
    curve: list[CurvePointBody]
    findings: list[AttendanceFindingBody]


class SignInsBody(SignedCountsBody):
    """The same with who entered them."""

    by: str


class HalfDayBody(HalfDayFiguresBody):
    """The same with the time without video, the sign-ins (null where there are none), and the closing (null while open)."""

    missing: MissingBody
    signed: SignInsBody | None
    closed: ClosedHalfDayBody | None
