"""Class bodies as JSON, as the catalog keeps them."""

from __future__ import annotations

from typing import Literal, NotRequired, TypedDict

from agent.core.class_model import LessonKind

AttendanceStatus = Literal["provisional", "final", "revised", "unjudged"]


class BenchBody(TypedDict):
    """A practice bench; `polygon` is a list of [x, y] pairs, 0 to 1."""

    name: str
    camera_id: str
    polygon: list[list[float]]
    limit: int


class RoomBody(TypedDict):
    """A room of a class body."""

    room_id: str
    name: str
    kind: LessonKind
    cameras: list[str]
    view: Literal["whole", "part"]
    benches: NotRequired[list[BenchBody]]


class LessonBody(TypedDict):
    """A lesson of a class body; `start` and `end` are local times (HH:MM, with seconds where there are any)."""

    date: str
    session: str
    start: str
    end: str
    room_id: str
    kind: LessonKind
    content: str
    teacher: str
    staff_in_room: int
    cancelled: NotRequired[bool]


class ClassFileBody(TypedDict):
    """A class as JSON: the content of a class file, dates and times as text.

    An amendment has `approved`, `first_date`, `first_session`, `reason` and the class fields that it changes; what it did
    to lessons is under `applied`.
    """

    class_id: str
    project: str
    occupation: str
    class_number: int
    institution: str
    place: str
    first_day: str
    last_day: str
    expected: int
    head_teacher: str
    staff: list[str]
    rooms: list[RoomBody]
    lessons: list[LessonBody]
    amendments: list[dict[str, object]]
    contact: NotRequired[str]
    plan_source: NotRequired[Literal["file"]]
