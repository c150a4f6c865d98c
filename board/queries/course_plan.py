"""The approved file of a class, as far as pages show it. Tolerant: what does not read is left out, the box judges it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import date, datetime, time
from typing import Any
from zoneinfo import ZoneInfo

from agent.core.class_model import Amendment, Lesson, TrainingClass
from agent.core.model import Session

_SESSIONS = {name: session for session in Session for name in (session.value, session.folder)}


def read_approved_class(text: str, zone: ZoneInfo) -> TrainingClass | None:
    """Return the class of an approval's JSON; None where there is none, or without dates."""
    body = json.loads(text) if text else {}
    first, last = _read_day(body.get("first_day")), _read_day(body.get("last_day"))
    if first is None or last is None:
        return None
    changes = _list(body, "amendments")
    lessons = [lesson for row in _list(body, "lessons") if (lesson := _read_lesson(row, zone))]
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
        lessons=tuple(sorted(lessons, key=lambda x: x.start)),
        amendments=tuple(change for row in changes if (change := _read_amendment(row))),
    )


def _list(body: Mapping[str, Any], name: str) -> list[Mapping[str, Any]]:
    rows = body.get(name)
    return [row for row in rows if isinstance(row, Mapping)] if isinstance(rows, list) else []


def _text(body: Mapping[str, Any], name: str) -> str:
    value = body.get(name)
    return value if isinstance(value, str) else ""


def _whole(body: Mapping[str, Any], name: str) -> int:
    value = body.get(name)
    return value if isinstance(value, int) else 0


def _read_day(value: object) -> date | None:
    try:
        return date.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        return None


def _read_clock(value: object) -> time | None:
    try:
        return time.fromisoformat(value.zfill(5)) if isinstance(value, str) else None
    except ValueError:
        return None


def _read_lesson(row: Mapping[str, Any], zone: ZoneInfo) -> Lesson | None:
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


def _read_amendment(row: Mapping[str, Any]) -> Amendment | None:
    approved, first = _read_day(row.get("approved")), _read_day(row.get("first_date"))
    if approved is None or first is None:
        return None
    expected = row.get("expected")
    changes = {"expected": expected} if isinstance(expected, int) else {}
    session = _SESSIONS.get(_text(row, "first_session")) or Session.AM
    return Amendment(approved, first, session, _text(row, "reason"), changes)
