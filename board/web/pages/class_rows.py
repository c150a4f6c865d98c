"""What the pages of one class share: the class that the address names, and its half-days as planned and as reported."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from starlette.exceptions import HTTPException

from agent import i18n
from agent.core.class_model import Lesson, TrainingClass
from agent.core.clock import get_local_day
from agent.core.model import Session, is_id
from board.queries.alarms import AlarmRow, list_class_alarms
from board.queries.classes import find_class
from board.queries.course_plan import read_approved_class
from board.queries.half_days import ReportedHalfDay, list_half_days
from board.web.site import BoardVisit

_SESSIONS = tuple(member.value for member in Session)


@dataclass(frozen=True, slots=True)
class ClassDayRow:
    """A half-day of a class: as planned, what each box reported of it, and alarms about it."""

    date: str
    session: str
    expected: int | None
    begun: bool
    boxes: list[ReportedHalfDay]
    alarms: list[AlarmRow]


def get_today(v: BoardVisit) -> date:
    """Return the day in the county."""
    return get_local_day(v.site.clock.now(), v.site.zone)


def find_named_class(v: BoardVisit) -> tuple[dict[str, Any], TrainingClass | None]:
    """Return the class that the path names, and its approval. Raises HTTPException 404, also for another institution's."""
    class_id = v.request.path_params["class_id"]
    known = is_id(class_id)
    row = find_class(v.site.database, class_id, today=get_today(v), institution=v.institution) if known else None
    if row is None:
        raise HTTPException(404)
    return row, read_approved_class(str(row["body"]), v.site.zone)


def list_alarms_to_show(v: BoardVisit, class_id: str) -> list[AlarmRow]:
    """Return the alarms of a class and its boxes; none for institutions: they are for the bureau's own people."""
    return list_class_alarms(v.site.database, class_id) if v.is_staff else []


def list_rows(
    v: BoardVisit, class_id: str, approved: TrainingClass | None, alarms: Sequence[AlarmRow]
) -> list[ClassDayRow]:
    """Return the half-days of a class, planned or reported, in order."""
    reported = list_half_days(v.site.database, class_id)
    planned = [(day.isoformat(), session.value) for day, session in approved.half_days()] if approved else []
    places = sorted({*planned, *((x.date, x.session) for x in reported)}, key=lambda p: (p[0], _SESSIONS.index(p[1])))
    now = v.site.clock.now()
    rows = []
    for day, session in places:
        lessons = find_lessons(approved, day, session)
        rows.append(
            ClassDayRow(
                day,
                session,
                approved.expected_on(date.fromisoformat(day), Session(session)) or None if approved else None,
                not lessons or lessons[0].start <= now,
                [x for x in reported if (x.date, x.session) == (day, session)],
                [x for x in alarms if (x["date"], x["session"]) == (day, session)],
            )
        )
    return rows


def find_lessons(approved: TrainingClass | None, day: str, session: str) -> list[Lesson]:
    """Return the lessons of a half-day."""
    return approved.lessons_of(date.fromisoformat(day), Session(session)) if approved else []


def is_known_alert(kind: str) -> bool:
    """Return whether there are words for a kind of alert; boxes of a newer version may send others."""
    return f"web.alert.{kind}" in i18n.load_catalogue()
