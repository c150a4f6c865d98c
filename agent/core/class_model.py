"""Values of a training class: its rooms, its course plan and its amendments. Standard library only."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime
from typing import Literal

from agent.core.model import JsonObject, Session

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
    """A classroom. `view` says how its cameras combine: `whole` (the best view counts), `part` (they add up)."""

    room_id: str
    name: str
    kind: LessonKind
    cameras: tuple[str, ...]
    view: Literal["whole", "part"] = "whole"
    benches: tuple[Bench, ...] = ()


@dataclass(frozen=True, slots=True)
class Lesson:
    """One row of the course plan; cancelled ones count neither as absence nor as gap."""

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
    """A change approved after the class opened; it applies from half-day (`first_date`, `first_session`) on.

    `changes` holds the class file's own keys (expected, place, last_day, staff …) with their new values; lessons that
    an amendment cancels, moves or adds are already merged into `TrainingClass.lessons`.
    """

    approved: date
    first_date: date
    first_session: Session
    reason: str
    changes: JsonObject


@dataclass(frozen=True, slots=True)
class TrainingClass:
    """One intake of trainees, as approved.

    `expected` is the opening headcount; use `expected_on` for a half-day. `plan_source` is `file` where the bureau
    approved the class without a plan and the institution supplied it, else empty. `contact`: whom the bureau calls.
    """

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
    contact: str = ""

    def expected_on(self, day: date, session: Session) -> int:
        """Return the approved headcount of a half-day.

        It is that of the last amendment at or before the half-day, else the opening headcount.
        """
        base = self.expected
        for amendment in sorted(self.amendments, key=lambda a: (a.first_date, a.first_session.order, a.approved)):
            begun = (amendment.first_date, amendment.first_session.order) <= (day, session.order)
            if begun and "expected" in amendment.changes:
                base = int(amendment.changes["expected"])
        return base

    def room(self, room_id: str) -> Room:
        return next(room for room in self.rooms if room.room_id == room_id)

    def half_days(self) -> list[tuple[date, Session]]:
        """Return the half-days with at least one lesson that was not cancelled, in order."""
        found = {(x.date, x.session) for x in self.lessons if not x.cancelled}
        return sorted(found, key=lambda pair: (pair[0], pair[1].order))

    def lessons_of(self, day: date, session: Session) -> list[Lesson]:
        rows = [x for x in self.lessons if (x.date, x.session) == (day, session) and not x.cancelled]
        return sorted(rows, key=lambda x: x.start)


def find_class(classes: Iterable[TrainingClass], class_id: object) -> TrainingClass | None:
    """Return the class with this ID; None where there is none."""
    return next((c for c in classes if c.class_id == class_id), None)
