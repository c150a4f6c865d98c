"""What moments are drawn from: the lessons of all classes of a day, or of one class, as approved and amended."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from sqlalchemy import Connection, select

from agent.core.class_model import Lesson, TrainingClass
from agent.core.clock import format_utc, parse_time
from agent.core.intervals import Interval
from board.queries.course_plan import read_approved_class
from board.store.tables import classes


@dataclass(frozen=True, slots=True)
class ClassLesson:
    """A lesson in one room of a class."""

    class_id: str
    date: str
    session: str
    room_id: str

    @property
    def place(self) -> tuple[str, str]:
        """Return what two moments must not overlap in: a room of a class, since sites may name rooms alike."""
        return self.class_id, self.room_id


Population = list[tuple[ClassLesson, Interval]]


def load_day_population(connection: Connection, day: date, zone: ZoneInfo, seconds: int, until: datetime) -> Population:
    """Return the lessons of a day that are over by `until`, of all approved classes, by start, class and room."""
    text = day.isoformat()
    query = select(classes.c.class_id, classes.c.body).where(
        classes.c.first_day <= text, classes.c.last_day >= text, classes.c.approved_at.is_not(None)
    )
    begin = datetime(day.year, day.month, day.day, tzinfo=zone)
    found: Population = []
    for row in connection.execute(query):
        approved = read_approved_class(row.body, zone)
        if approved is not None:
            lessons = (x for x in approved.lessons if x.date == day)
            found += _clip_lessons(row.class_id, lessons, seconds, begin, until)
    return sorted(found, key=lambda pair: (pair[1][0], pair[0].class_id, pair[0].room_id))


def list_class_population(approved: TrainingClass, seconds: int, begin: datetime, until: datetime) -> Population:
    """Return the lessons of a class between two instants, by start and room: as the box lists them."""
    found = _clip_lessons(approved.class_id, approved.lessons, seconds, begin, until)
    return sorted(found, key=lambda pair: (pair[1][0], pair[0].room_id))


def _clip_lessons(
    class_id: str, lessons: Iterable[Lesson], seconds: int, begin: datetime, until: datetime
) -> Population:
    """Return lessons that offer a start of `seconds` seconds, with the part of them that lies between the two instants."""
    found: Population = []
    for lesson in lessons:
        start, end = max(lesson.start, begin), min(lesson.end, until)
        if not lesson.cancelled and end - start >= timedelta(seconds=seconds):
            item = ClassLesson(class_id, lesson.date.isoformat(), lesson.session.value, lesson.room_id)
            found.append((item, (start, end)))
    return found


def dump_population(population: Population) -> list[list[str]]:
    """Return it as JSON lists, in order: class, date, session, room, start and end (UTC)."""
    return [
        [x.class_id, x.date, x.session, x.room_id, format_utc(start), format_utc(end)] for x, (start, end) in population
    ]


def read_population(rows: Iterable[list[str]]) -> Population:
    """Return what `dump_population` made a list of."""
    return [
        (ClassLesson(class_id, day, session, room), (parse_time(start), parse_time(end)))
        for class_id, day, session, room, start, end in rows
    ]
