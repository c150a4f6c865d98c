"""What an amendment changes: fields of the class, and lessons that it cancels, moves or adds.

A stored body holds the plan as amended, and keeps what was done to it under `applied`, which is never done twice.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import date
from typing import Any
from zoneinfo import ZoneInfo

from agent.attendance.fields import Path, Table, as_day, as_time, shown
from agent.model import Session
from agent.model_classes import Lesson

Rows = list[tuple[Path, Lesson]]
"""Lessons with the place in the body that each came from."""
HalfDay = tuple[date | None, Session]
ReadLesson = Callable[[Table], Lesson | None]


def head_changes(table: Table, most: int) -> dict[str, Any]:
    """The class fields that an amendment sets, as JSON values under the class file's own keys."""
    changes: dict[str, Any] = {}
    if table.value("expected", required=False) is not None:
        changes["expected"] = table.number("expected", 1, most)
    for key in ("first_day", "last_day"):
        if (day := table.day(key, required=False)) is not None:
            changes[key] = day.isoformat()
    for key in ("place", "head_teacher"):
        if text := table.text(key):
            changes[key] = text
    if staff := table.texts("staff"):
        changes["staff"] = list(staff)
    return changes


def lesson_changes(table: Table, rows: Rows, first: HalfDay, read: ReadLesson, zone: ZoneInfo) -> dict[str, Any]:
    """Work `cancel`, `move` and `add` into `rows`; return them as JSON values for the record."""
    for entry in table.tables("cancel"):
        _cancel(entry, rows, first, zone, done=entry.done)
    for entry in table.tables("move"):
        _move(entry, rows, first, read, zone)
    for entry in table.tables("add"):
        if (lesson := read(entry)) and _late_enough(entry, lesson, first):
            _put(rows, entry.path, lesson)
    done = {
        key: [_plain(x) for x in table.raw[key]]
        for key in ("cancel", "move", "add")
        if table.raw.get(key) and isinstance(table.raw[key], list)
    }
    before = table.value("applied", required=False)
    if before is not None and not isinstance(before, Mapping):
        table.problem("applied", "classes.not_table", value=shown(before))
    applied = {**before, **done} if isinstance(before, Mapping) else done
    return {"applied": applied} if applied else {}


def _plain(entry: Any) -> Any:
    """An entry as JSON text, the same from every kind of file."""
    if not isinstance(entry, Mapping):
        return shown(entry)
    return {str(key): _plain_cell(str(key), value) for key, value in entry.items()}


def _plain_cell(key: str, value: Any) -> Any:
    day = as_day(value) if key.endswith("date") else None
    moment = as_time(value) if key.endswith(("start", "end")) else None
    if day is not None or moment is not None:
        return day.isoformat() if day else moment and moment.isoformat("seconds" if moment.second else "minutes")
    return value if isinstance(value, str | int | float) else shown(value)


def _cancel(entry: Table, rows: Rows, first: HalfDay, zone: ZoneInfo, done: Callable[[], None]) -> list[Lesson]:
    """Mark the lessons that an entry names (day and start, or day and session; room where several fit)."""
    day = entry.day("date")
    start = entry.clock("start", required=False)
    session = entry.choice("session", {s.value: s for s in Session} | {s.folder: s for s in Session}, required=False)
    room = entry.text("room_id")
    done()
    if day is None:
        return []
    if start is None and session is None:
        entry.problem("start", "classes.which_lesson")
        return []
    found = [
        (number, lesson) for number, (_, lesson) in enumerate(rows)
        if lesson.date == day and not lesson.cancelled and session in (None, lesson.session) and room in ("", lesson.room_id)
        and start in (None, lesson.start.astimezone(zone).time())
    ]  # fmt: skip
    if not found:
        entry.problem("start", "classes.no_such_lesson", day=day)
    for number, lesson in found:
        if _late_enough(entry, lesson, first):
            rows[number] = (rows[number][0], replace(lesson, cancelled=True))
    return [lesson for _, lesson in found]


def _move(entry: Table, rows: Rows, first: HalfDay, read: ReadLesson, zone: ZoneInfo) -> None:
    """Cancel one lesson and hold it at `to_date` `to_start` `to_end` (`to_session`, `to_room_id` where given)."""
    target = {key[3:]: entry.value(key, required=False) for key in ("to_date", "to_session", "to_room_id")}
    target |= {key[3:]: entry.value(key, required=True) for key in ("to_start", "to_end")}
    found = _cancel(entry, rows, first, zone, done=entry.done)
    if len(found) > 1:
        entry.problem("start", "classes.move_one", count=len(found))
    if len(found) != 1 or None in (target["start"], target["end"]):
        return
    old = found[0]
    body = {"date": old.date, "kind": old.kind, "room_id": old.room_id, "content": old.content, "teacher": old.teacher,
            "staff_in_room": old.staff_in_room} | {k: v for k, v in target.items() if v is not None}  # fmt: skip
    if (lesson := read(Table(entry.report, entry.path, body))) and _late_enough(entry, lesson, first):
        _put(rows, entry.path, lesson)


def _put(rows: Rows, path: Path, lesson: Lesson) -> None:
    if lesson not in [known for _, known in rows]:
        rows.append((path, lesson))


def _late_enough(entry: Table, lesson: Lesson, first: HalfDay) -> bool:
    """An amendment never reaches back behind its first half-day."""
    if first[0] is None or (lesson.date, lesson.session.order) >= (first[0], first[1].order):
        return True
    entry.problem("date", "classes.reaches_back", day=lesson.date, session=lesson.session.folder)
    return False
