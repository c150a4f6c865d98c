"""Classes: as the bureau approves them, and as the API shows them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal, NotRequired

from pydantic import Field
from typing_extensions import TypedDict

from agent.contract.recordings import MissingBody
from agent.contract.values import (
    ClockTimeText,
    DateText,
    Href,
    Id,
    Name,
    RecentDateText,
    SessionText,
    Text200,
    TimeText,
    Whole,
)

Kind = Literal["theory", "practice"]


class ClassBriefBody(TypedDict):
    """state: ahead 未开始, open 进行中, over 已结束."""

    class_id: Id
    project: str
    occupation: str
    class_number: Whole
    institution: str
    place: str
    first_day: DateText
    last_day: DateText
    expected: Whole
    state: Literal["ahead", "open", "over"]
    href: Href


class ClassListBody(TypedDict):
    """Classes by ID."""

    items: list[ClassBriefBody]
    next: Id | None


class ClassHalfDayBody(TypedDict):
    """A half-day of a class."""

    date: DateText
    session: SessionText
    expected: Whole
    missing: MissingBody


class CountersignatureBody(TypedDict):
    """The bureau had seen a half-day's head, and every statement of the box up to a number."""

    witness: str
    at: TimeText
    number: Whole


class ClosedHalfDayBody(TypedDict):
    """A closed half-day's place in the chain of sums, and the bureau's countersignature once it has come."""

    date: DateText
    session: SessionText
    sequence: Whole
    drive_id: str
    head: str
    key: str
    closed_at: TimeText
    countersigned: CountersignatureBody | None


class ClassBody(ClassBriefBody):
    """approved: the class file as approved, see docs/schemas/class.json."""

    approved: Mapping[str, object]
    half_days: list[ClassHalfDayBody]
    chain: list[ClosedHalfDayBody]


class ApprovedRoom(TypedDict):
    """A room of an approved class."""

    room_id: Id
    name: NotRequired[Annotated[str, Field(max_length=60)]]
    kind: Kind
    cameras: NotRequired[list[Id]]
    view: NotRequired[Literal["whole", "part"]]
    benches: NotRequired[list[Mapping[str, object]]]


class ApprovedLesson(TypedDict):
    """A row of the approved course plan."""

    date: RecentDateText
    session: NotRequired[SessionText]
    start: ClockTimeText
    end: ClockTimeText
    room_id: NotRequired[Id]
    kind: NotRequired[Kind]
    content: NotRequired[Annotated[str, Field(max_length=500)]]
    teacher: NotRequired[Text200]
    staff_in_room: NotRequired[Annotated[int, Field(ge=0, le=50)]]
    cancelled: NotRequired[bool]


class ApprovedAmendment(TypedDict):
    """A change that was approved after the class opened; further keys are the class's own with their new values."""

    approved: RecentDateText
    first_date: RecentDateText
    first_session: NotRequired[SessionText]
    reason: Annotated[str, Field(min_length=1, max_length=500)]


class ApprovedClass(TypedDict):
    """An approved class; agent/class_files/classes.py reads it and names each fault by its place."""

    class_id: Id
    project: Name
    occupation: Name
    class_number: Annotated[int, Field(ge=1, le=9999)]
    institution: Name
    place: Name
    first_day: RecentDateText
    last_day: RecentDateText
    expected: Annotated[int, Field(ge=1, le=1000, description="Headcount approved when the class opened")]
    head_teacher: NotRequired[Text200]
    contact: NotRequired[
        Annotated[Text200, Field(description="Whom the bureau calls during a class: name and telephone")]
    ]
    staff: NotRequired[list[str]]
    rooms: Annotated[list[ApprovedRoom], Field(min_length=1)]
    lessons: NotRequired[
        Annotated[
            list[ApprovedLesson],
            Field(
                description="The approved course plan. Left out or empty: the institution gives it on the box"
                " (classes import PLAN --class ID)"
            ),
        ]
    ]
    amendments: NotRequired[list[ApprovedAmendment]]
