"""What speaks for and against approving a class: changes to what stands, and rooms and teachers that are taken."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from sqlalchemy import select

from agent.class_files.classes import parse_class
from agent.class_files.fields import ClassFileProblems, normalize_width
from agent.class_files.versions import ClassDifference, compare_classes, refuse_silent_changes
from agent.core.class_model import Lesson, TrainingClass
from agent.core.errors import ClassFileError
from board.approvals.drafts import ClassDraft
from board.store.database import Database
from board.store.tables import classes

_MOST_CONFLICTS = 200


@dataclass(frozen=True, slots=True)
class PlanConflict:
    """Two lessons at one time that share a room or a teacher. `kind`: room, teacher; `name`: which one."""

    kind: str
    name: str
    lesson: Lesson
    other: TrainingClass
    other_lesson: Lesson


@dataclass(frozen=True, slots=True)
class ClassReview:
    """A draft beside what is approved. `refusals`: why it cannot be approved as it is; the rest is told, a person decides."""

    known: TrainingClass | None
    differences: list[ClassDifference]
    refusals: list[str]
    conflicts: list[PlanConflict]


def review_draft(database: Database, draft: ClassDraft, zone: ZoneInfo, now: datetime) -> ClassReview:
    """Compare a draft with the approved classes of the whole county."""
    approved = list(_load_approved(database, draft.cls, zone))
    known = next((cls for cls in approved if cls.class_id == draft.cls.class_id), None)
    refusals: list[str] = []
    if known:
        try:
            refuse_silent_changes(known, draft.cls, zone, now, draft.file_name)
        except ClassFileProblems as problems:
            refusals = problems.problems
    others = [cls for cls in approved if cls.class_id != draft.cls.class_id]
    return ClassReview(
        known,
        compare_classes(known, draft.cls, zone) if known else [],
        refusals,
        list(find_conflicts(draft.cls, others))[:_MOST_CONFLICTS],
    )


def find_conflicts(cls: TrainingClass, others: Iterable[TrainingClass]) -> Iterator[PlanConflict]:
    """Yield the lessons of other classes that need the same room or teacher at the same time.

    A room is the same where place and name are; a teacher where the institution and the name are, whatever the site.
    """
    mine = [lesson for lesson in cls.lessons if not lesson.cancelled]
    for other in others:
        for lesson in mine:
            for theirs in other.lessons:
                if theirs.cancelled or theirs.start >= lesson.end or lesson.start >= theirs.end:
                    continue
                room = cls.room(lesson.room_id).name
                if _is_same(cls.place, other.place) and _is_same(room, other.room(theirs.room_id).name):
                    yield PlanConflict("room", room, lesson, other, theirs)
                if _is_same(cls.institution, other.institution) and _is_same(lesson.teacher, theirs.teacher):
                    yield PlanConflict("teacher", lesson.teacher, lesson, other, theirs)


def _is_same(one: str, two: str) -> bool:
    """Compare two names as people do: width, case and spaces do not count. Nothing equals nothing."""
    first, second = ("".join(normalize_width(text).casefold().split()) for text in (one, two))
    return bool(first) and first == second


def _load_approved(database: Database, cls: TrainingClass, zone: ZoneInfo) -> Iterator[TrainingClass]:
    """Yield the approved classes of the same days, and this one's own approval; what does not read is left to its box."""
    same_days = (classes.c.first_day <= cls.last_day.isoformat()) & (classes.c.last_day >= cls.first_day.isoformat())
    query = select(classes.c.class_id, classes.c.body).where(
        classes.c.approved_at.is_not(None), same_days | (classes.c.class_id == cls.class_id)
    )
    with database.read() as connection:
        rows = connection.execute(query).all()
    for row in rows:
        try:
            yield parse_class(json.loads(row.body), zone, row.class_id)
        except (ClassFileError, ValueError):
            continue
