"""Approved course plans with their amendments applied. Tolerant: what does not read is left out, the box judges it."""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, time
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import Connection, select

from agent.core.class_model import Amendment, Lesson, TrainingClass
from agent.core.model import Session
from board.queries.scope import is_of_institution
from board.store.tables import classes

_SESSIONS = {name: session for session in Session for name in (session.value, session.folder)}
Body = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class PlannedHalfDay:
    """A half-day of an approved class: `start` of the first lesson to `end` of the last, as amended."""

    class_id: str
    session: str
    start: datetime
    end: datetime
    lessons: tuple[tuple[datetime, datetime], ...]
    expected: int | None
    place: str


def read_approved_class(text: str, zone: ZoneInfo) -> TrainingClass | None:
    """Return the class of an approval's JSON; None where there is none, or without dates."""
    body = json.loads(text) if text else {}
    first, last = _read_day(body.get("first_day")), _read_day(body.get("last_day"))
    if first is None or last is None:
        return None
    changes = _list(body, "amendments")
    return TrainingClass(
        class_id=_text(body, "class_id"),
        project=_text(body, "project"),
        occupation=_text(body, "occupation"),
        class_number=_whole(body, "class_number"),
        institution=_text(body, "institution"),
        place=_text(body, "place"),
        first_day=first,
        last_day=last,
        expected=_whole(body, "expected"),
        head_teacher=_text(body, "head_teacher"),
        contact=_text(body, "contact"),
        lessons=tuple(sorted(_read_plan(body, zone), key=lambda x: x.start)),
        amendments=tuple(change for row in changes if (change := _read_amendment(row))),
    )


def plan_half_days(class_id: str, body: Body, day: date, zone: ZoneInfo) -> list[PlannedHalfDay] | None:
    """Return the half-days of a day, in order; None where the class was approved without a course plan."""
    lessons, changes = _read_plan(body, zone), _list(body, "amendments")
    if not lessons:
        return None
    found = []
    for session in Session:
        held = (x for x in lessons if (x.date, x.session) == (day, session) and not x.cancelled)
        own = sorted((x.start, x.end) for x in held)
        if own:
            expected = _rule(body, changes, "expected", day, session)
            place = _rule(body, changes, "place", day, session)
            found.append(
                PlannedHalfDay(
                    class_id,
                    session.value,
                    own[0][0],
                    max(end for _, end in own),
                    tuple(own),
                    expected if isinstance(expected, int) else None,
                    place if isinstance(place, str) else "",
                )
            )
    return found


def _list(body: Body, name: str) -> list[Body]:
    rows = body.get(name)
    return [row for row in rows if isinstance(row, Mapping)] if isinstance(rows, list) else []


def _text(body: Body, name: str) -> str:
    value = body.get(name)
    return value if isinstance(value, str) else ""


def _whole(body: Body, name: str) -> int:
    value = body.get(name)
    return value if isinstance(value, int) else 0


def _rule(body: Body, changes: Sequence[Body], key: str, day: date, session: Session) -> Any:
    """Return a field of a class as it is on a half-day."""
    begun = sorted(
        (str(change["first_date"]), _SESSIONS.get(str(change.get("first_session", "am")), Session.AM).order, number)
        for number, change in enumerate(changes)
        if key in change and "first_date" in change
    )
    last = [number for first, order, number in begun if (first, order) <= (day.isoformat(), session.order)]
    return changes[last[-1]][key] if last else body.get(key)


def _read_day(value: object) -> date | None:
    try:
        return date.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        return None


def _read_clock(value: object) -> time | None:
    if not isinstance(value, str) or ":" not in value:  # an empty one is not midnight
        return None
    hour, colon, rest = value.partition(":")
    try:
        found = time.fromisoformat(hour.zfill(2) + colon + rest)
    except ValueError:
        return None
    return found if found.tzinfo is None else None


def _read_amendment(row: Body) -> Amendment | None:
    first = _read_day(row.get("first_date"))
    if first is None:
        return None
    changes = {"expected": expected} if isinstance(expected := row.get("expected"), int) else {}
    session = _SESSIONS.get(_text(row, "first_session")) or Session.AM
    return Amendment(_read_day(row.get("approved")) or first, first, session, _text(row, "reason"), changes)


def _read_plan(body: Body, zone: ZoneInfo) -> list[Lesson]:
    """Return the lessons with what amendments cancel, move and add."""
    lessons = [lesson for row in _list(body, "lessons") if (lesson := _read_lesson(row, zone))]
    for change in _list(body, "amendments"):
        _amend(lessons, change, zone)
    return lessons


def _read_lesson(row: Body, zone: ZoneInfo) -> Lesson | None:
    day, start, end = _read_day(row.get("date")), _read_clock(row.get("start")), _read_clock(row.get("end"))
    if day is None or start is None or end is None or end <= start:
        return None
    begin = datetime.combine(day, start, zone)
    return Lesson(
        date=day,
        session=_SESSIONS.get(_text(row, "session")) or Session.of(begin),
        start=begin,
        end=datetime.combine(day, end, zone),
        room_id=_text(row, "room_id"),
        kind="practice" if row.get("kind") == "practice" else "theory",
        content=_text(row, "content"),
        teacher=_text(row, "teacher"),
        cancelled=row.get("cancelled") is True,
    )


def _amend(lessons: list[Lesson], change: Body, zone: ZoneInfo) -> None:
    """Apply what an amendment cancels, moves and adds."""
    added = _list(change, "add")
    for entry in _list(change, "cancel"):
        _cancel(lessons, entry)
    for entry in _list(change, "move"):
        found = _cancel(lessons, entry)
        if len(found) == 1:
            old = found[0]
            moved = {"date": old.date.isoformat(), "room_id": old.room_id, "kind": old.kind, "content": old.content,
                     "teacher": old.teacher}  # fmt: skip
            added.append(moved | {key[3:]: value for key, value in entry.items() if key.startswith("to_")})
    lessons += [x for entry in added if (x := _read_lesson(entry, zone)) and x not in lessons]


def _cancel(lessons: list[Lesson], entry: Body) -> list[Lesson]:
    """Cancel the lessons that an entry names by day and start or session, and room where given; return them as they were."""
    start, session = _read_clock(entry.get("start")), _SESSIONS.get(str(entry.get("session")))
    found = [
        (number, x)
        for number, x in enumerate(lessons)
        if x.date.isoformat() == entry.get("date")
        and not x.cancelled
        and (start is not None or session is not None)
        and start in (None, x.start.time())
        and session in (None, x.session)
        and entry.get("room_id") in (None, "", x.room_id)
    ]
    for number, lesson in found:
        lessons[number] = replace(lesson, cancelled=True)
    return [lesson for _, lesson in found]


@dataclass(frozen=True, slots=True)
class ApprovedDay:
    """A class that is open on a day. `half_days` is None where the board does not know its course plan."""

    class_id: str
    institution: str
    occupation: str
    class_number: int | None
    place: str
    expected: int | None
    half_days: tuple[PlannedHalfDay, ...] | None


class DayPlans:
    """Plans of the classes that are open on a day, each read once for as long as its approval stays. For several threads."""

    def __init__(self, zone: ZoneInfo) -> None:
        self.zone = zone
        self._lock = threading.Lock()
        self._day = date.min
        self._known: dict[tuple[str, str], tuple[PlannedHalfDay, ...] | None] = {}

    def load(self, connection: Connection, day: date, institution: str = "") -> list[ApprovedDay]:
        """Return the classes that are open on a day, by ID."""
        columns = [classes.c[name] for name in ("class_id", "approved_at", "institution", "occupation", "class_number",
                                                "place", "expected")]  # fmt: skip
        query = select(*columns).where(
            classes.c.last_day >= day.isoformat(),
            classes.c.first_day <= day.isoformat(),
            classes.c.approved_at.is_not(None),
            is_of_institution(institution),
        )
        # sorted here: for the order SQLite would go through all classes that ever were
        rows = sorted(connection.execute(query).all(), key=lambda row: str(row.class_id))
        with self._lock:
            if day != self._day:
                self._day, self._known = day, {}
            missing = [row.class_id for row in rows if (row.class_id, row.approved_at) not in self._known]
            for first in range(0, len(missing), 500):
                bodies = select(classes.c.class_id, classes.c.approved_at, classes.c.body)
                for row in connection.execute(bodies.where(classes.c.class_id.in_(missing[first : first + 500]))):
                    self._known[row.class_id, row.approved_at] = self._read(row.class_id, row.body, day)
            return [
                ApprovedDay(row.class_id, row.institution, row.occupation, row.class_number, row.place, row.expected,
                            self._known.get((row.class_id, row.approved_at)))
                for row in rows
            ]  # fmt: skip

    def _read(self, class_id: str, text: str, day: date) -> tuple[PlannedHalfDay, ...] | None:
        body = json.loads(text) if text else {}
        found = plan_half_days(class_id, body, day, self.zone)
        return None if found is None else tuple(found)
