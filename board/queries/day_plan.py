"""Half-days that approved course plans have for one day. Tolerant: what does not read is left out, the box judges it."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import Connection, select

from agent.core.model import Session
from board.queries.scope import is_of_institution
from board.store.tables import classes

_SESSIONS = {name: session for session in Session for name in (session.value, session.folder)}


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


@dataclass(slots=True)
class _PlannedLesson:
    day: str
    session: Session
    start: time
    end: time
    room_id: str
    cancelled: bool


def plan_half_days(class_id: str, body: Mapping[str, Any], day: date, zone: ZoneInfo) -> list[PlannedHalfDay] | None:
    """Return the half-days of a day, in order; None where the class was approved without a course plan."""
    lessons = [lesson for row in _list(body, "lessons") if (lesson := _read_lesson(row))]
    changes = _list(body, "amendments")
    for change in changes:
        _amend(lessons, change)
    if not lessons:
        return None
    found = []
    for session in Session:
        own = sorted(
            (datetime.combine(day, x.start, zone), datetime.combine(day, x.end, zone))
            for x in lessons
            if (x.day, x.session) == (day.isoformat(), session) and not x.cancelled and x.start < x.end
        )
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


def _list(body: Mapping[str, Any], name: str) -> list[Mapping[str, Any]]:
    rows = body.get(name)
    return [row for row in rows if isinstance(row, Mapping)] if isinstance(rows, list) else []


def _rule(body: Mapping[str, Any], changes: Sequence[Mapping[str, Any]], key: str, day: date, session: Session) -> Any:
    """Return a field of a class as it is on a half-day."""
    begun = sorted(
        (str(change["first_date"]), _SESSIONS.get(str(change.get("first_session", "am")), Session.AM).order, number)
        for number, change in enumerate(changes)
        if key in change and "first_date" in change
    )
    last = [number for first, order, number in begun if (first, order) <= (day.isoformat(), session.order)]
    return changes[last[-1]][key] if last else body.get(key)


def _read_clock(value: object) -> time | None:
    if not isinstance(value, str) or ":" not in value:
        return None
    hour, colon, rest = value.partition(":")
    try:
        found = time.fromisoformat(hour.zfill(2) + colon + rest)
    except ValueError:
        return None
    return found if found.tzinfo is None else None


def _read_lesson(row: Mapping[str, Any]) -> _PlannedLesson | None:
    start, end, day = _read_clock(row.get("start")), _read_clock(row.get("end")), row.get("date")
    if start is None or end is None or not isinstance(day, str):
        return None
    session = _SESSIONS.get(str(row.get("session"))) or Session.of(datetime.combine(date.min, start))
    return _PlannedLesson(day, session, start, end, str(row.get("room_id") or ""), row.get("cancelled") is True)


def _amend(lessons: list[_PlannedLesson], change: Mapping[str, Any]) -> None:
    """Apply what an amendment cancels, moves and adds."""
    for entry in _list(change, "cancel"):
        _cancel(lessons, entry)
    for entry in _list(change, "move"):
        found = _cancel(lessons, entry)
        if len(found) == 1:
            old = found[0]
            moved = {"date": old.day, "session": None, "room_id": old.room_id}
            moved |= {key[3:]: value for key, value in entry.items() if key.startswith("to_")}
            lessons += [lesson for lesson in [_read_lesson(moved)] if lesson]
    lessons += [lesson for entry in _list(change, "add") if (lesson := _read_lesson(entry)) and lesson not in lessons]


def _cancel(lessons: Iterable[_PlannedLesson], entry: Mapping[str, Any]) -> list[_PlannedLesson]:
    """Cancel the lessons that an entry names by day and start or session, and room where given; return them."""
    start, session = _read_clock(entry.get("start")), _SESSIONS.get(str(entry.get("session")))
    found = [
        x
        for x in lessons
        if x.day == entry.get("date")
        and not x.cancelled
        and (start is not None or session is not None)
        and start in (None, x.start)
        and session in (None, x.session)
        and entry.get("room_id") in (None, "", x.room_id)
    ]
    for lesson in found:
        lesson.cancelled = True
    return found


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
        rows = connection.execute(query.order_by(classes.c.class_id)).all()
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
