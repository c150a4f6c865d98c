"""Apply amendments: they change fields of the class, and cancel, move or add lessons.

A stored body holds the plan as amended. The lesson changes already made are recorded under `applied` and not made again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import date
from zoneinfo import ZoneInfo

from agent.class_files.fields import FieldPath, parse_clock_time, parse_day, sanitize_value
from agent.class_files.table_reader import TableReader
from agent.core.class_model import Lesson
from agent.core.model import Session

PlacedLessons = list[tuple[FieldPath, Lesson]]
"""Lessons, each with its place in the body."""
FirstHalfDay = tuple[date | None, Session]
"""The half-day from which an amendment applies; the date is None if it cannot be parsed."""
ReadLesson = Callable[[TableReader], Lesson | None]


def read_field_changes(table: TableReader, most: int) -> dict[str, object]:
    """Read the class fields that an amendment sets, as JSON values under the class file's own keys.

    `most`: the largest headcount allowed.
    """
    changes: dict[str, object] = {}
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


def apply_lesson_changes(
    table: TableReader, rows: PlacedLessons, first: FirstHalfDay, read: ReadLesson, zone: ZoneInfo
) -> dict[str, object]:
    """Apply `cancel`, `move` and `add` to `rows`; return {"applied": …} as JSON values, {} without lesson changes."""
    for entry in table.tables("cancel"):
        _cancel(entry, rows, first, zone, done=entry.done)
    for entry in table.tables("move"):
        _move(entry, rows, first, read, zone)
    for entry in table.tables("add"):
        if (lesson := read(entry)) and _is_late_enough(entry, lesson, first):
            _add_once(rows, entry.path, lesson)
    given = {key: entries for key in ("cancel", "move", "add") if isinstance(entries := table.raw.get(key), list)}
    done = {key: [_to_json(entry) for entry in entries] for key, entries in given.items() if entries}
    before = table.value("applied", required=False)
    if before is not None and not isinstance(before, Mapping):
        table.problem("applied", "classes.not_table", value=sanitize_value(before))
    applied = {**before, **done} if isinstance(before, Mapping) else done
    return {"applied": applied} if applied else {}


def _to_json(entry: object) -> object:
    """Convert an entry to JSON values that do not depend on the kind of file it came from."""
    if not isinstance(entry, Mapping):
        return sanitize_value(entry)
    return {str(key): _cell_to_json(str(key), value) for key, value in entry.items()}


def _cell_to_json(key: str, value: object) -> object:
    day = parse_day(value) if key.endswith("date") else None
    moment = parse_clock_time(value) if key.endswith(("start", "end")) else None
    if day is not None or moment is not None:
        return day.isoformat() if day else moment and moment.isoformat("seconds" if moment.second else "minutes")
    return value if isinstance(value, str | int | float) else sanitize_value(value)


def _cancel(
    entry: TableReader, rows: PlacedLessons, first: FirstHalfDay, zone: ZoneInfo, done: Callable[[], None]
) -> list[Lesson]:
    """Mark the lessons that an entry names as cancelled, and return them as they were.

    An entry names lessons by day and start, or by day and session; `room_id` is needed only where several match. `done`
    reports unknown keys of the entry.
    """
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
        (number, lesson)
        for number, (_, lesson) in enumerate(rows)
        if lesson.date == day
        and not lesson.cancelled
        and session in (None, lesson.session)
        and room in ("", lesson.room_id)
        and start in (None, lesson.start.astimezone(zone).time())
    ]
    if not found:
        entry.problem("start", "classes.no_such_lesson", day=day)
    for number, lesson in found:
        if _is_late_enough(entry, lesson, first):
            rows[number] = (rows[number][0], replace(lesson, cancelled=True))
    return [lesson for _, lesson in found]


def _move(entry: TableReader, rows: PlacedLessons, first: FirstHalfDay, read: ReadLesson, zone: ZoneInfo) -> None:
    """Cancel one lesson and add it again at `to_start` to `to_end` (with `to_date`, `to_session`, `to_room_id` if given)."""
    target = {key[3:]: entry.value(key, required=False) for key in ("to_date", "to_session", "to_room_id")}
    target |= {key[3:]: entry.value(key, required=True) for key in ("to_start", "to_end")}
    found = _cancel(entry, rows, first, zone, done=entry.done)
    if len(found) > 1:
        entry.problem("start", "classes.move_one", count=len(found))
    if len(found) != 1 or None in (target["start"], target["end"]):
        return
    old = found[0]
    body = {
        "date": old.date,
        "kind": old.kind,
        "room_id": old.room_id,
        "content": old.content,
        "teacher": old.teacher,
        "staff_in_room": old.staff_in_room,
    } | {k: v for k, v in target.items() if v is not None}
    if (lesson := read(TableReader(entry.report, entry.path, body))) and _is_late_enough(entry, lesson, first):
        _add_once(rows, entry.path, lesson)


def _add_once(rows: PlacedLessons, path: FieldPath, lesson: Lesson) -> None:
    if lesson not in [known for _, known in rows]:
        rows.append((path, lesson))


def _is_late_enough(entry: TableReader, lesson: Lesson, first: FirstHalfDay) -> bool:
    """Return whether a lesson is not before the amendment's first half-day; report it otherwise."""
    if first[0] is None or (lesson.date, lesson.session.order) >= (first[0], first[1].order):
        return True
    entry.problem("date", "classes.reaches_back", day=lesson.date, session=lesson.session.folder)
    return False
