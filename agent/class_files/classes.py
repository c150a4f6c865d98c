"""Class files: read what the bureau approved into a `TrainingClass`, and write it as JSON.

`load` reads a file: TOML, with the course plan inside or in a separate CSV or XLSX file; or one XLSX workbook. `parse` reads
a body (the same content as JSON: dates and local times as text), and `body_of` writes it: `parse(body_of(x)) == x`. The
fields of a class are those of the opening approval; `ruling` returns the value that applies to a half-day after amendments.
`load` and `parse` raise ClassFileProblems (a ClassFileError) with all problems.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time
from pathlib import Path
from typing import Literal
from zoneinfo import ZoneInfo

from agent.class_files import amend, rooms, source
from agent.class_files.fields import FieldPath, ImportReport
from agent.class_files.json_types import ClassFileBody, LessonBody
from agent.class_files.table_reader import TableReader
from agent.core.class_model import Amendment, Lesson, LessonKind, TrainingClass
from agent.core.errors import ClassFileError
from agent.core.model import Session

SESSION_NAMES = {
    "am": Session.AM,
    "pm": Session.PM,
    "ev": Session.EV,
    "上午": Session.AM,
    "下午": Session.PM,
    "晚上": Session.EV,
}
MOST_TRAINEES = 1000
_PLAN_SOURCES: Mapping[str, Literal["", "file"]] = {"file": "file"}
LONGEST_CLASS_DAYS = 800


@dataclass(frozen=True, slots=True)
class LoadedClass:
    """A class read from a file. `notes`: not wrong, but a person should know it before the class is imported."""

    cls: TrainingClass
    notes: list[str]


def load_training_class(path: Path, zone: ZoneInfo) -> TrainingClass:
    """Read a class file. Raises ClassFileError if it cannot be read, ClassFileProblems if its content is wrong."""
    return load_class_with_notes(path, zone).cls


def load_class_with_notes(path: Path, zone: ZoneInfo, known: TrainingClass | None = None) -> LoadedClass:
    """Read a class file, or with `known` a separate course plan for that class. Raises as `load`."""
    report = ImportReport(path.name)
    if known and any("applied" in change.changes for change in known.amendments):
        raise ClassFileError("classes.plan_amended", file=path, class_id=known.class_id)
    body = (
        source.read_plan(path, serialize_class(known, zone), report) if known else source.read_class_file(path, report)
    )
    if not body.get("lessons") and not report.wrong("lessons"):
        report.add(("lessons",), "classes.no_lessons")
    return LoadedClass(_build(body, zone, report), report.notes)


def parse_class(body: Mapping[str, object], zone: ZoneInfo, source: str) -> TrainingClass:
    """Build a class from a body; `source` names it in error messages (a file, `bureau`). Raises ClassFileProblems.

    An approval may have no lessons; the institution then supplies the plan.
    """
    return _build(body, zone, ImportReport(source))


def resolve_field(cls: TrainingClass, key: str, day: date, session: Session) -> object:
    """Return the value of a class field (`place`, `last_day`, `staff` …) for a half-day, amendments applied."""
    value: object = getattr(cls, key)
    for change in _sort_amendments(cls.amendments):
        if (change.first_date, change.first_session.order) <= (day, session.order) and key in change.changes:
            value = change.changes[key]
    return value


def resolve_last_day(cls: TrainingClass) -> date:
    """Return the last day of the class with all amendments applied."""
    return date.fromisoformat(str(resolve_field(cls, "last_day", date.max, Session.EV)))


def serialize_class(cls: TrainingClass, zone: ZoneInfo) -> ClassFileBody:
    """Write the class as JSON for the catalog and for `--json`; equal classes have equal bodies."""
    body: ClassFileBody = {
        "class_id": cls.class_id,
        "project": cls.project,
        "occupation": cls.occupation,
        "class_number": cls.class_number,
        "institution": cls.institution,
        "place": cls.place,
        "first_day": cls.first_day.isoformat(),
        "last_day": cls.last_day.isoformat(),
        "expected": cls.expected,
        "head_teacher": cls.head_teacher,
        "staff": list(cls.staff),
        "rooms": [rooms.serialize_room(room) for room in cls.rooms],
        "lessons": [serialize_lesson(lesson, zone) for lesson in cls.lessons],
        "amendments": [
            {
                "approved": a.approved.isoformat(),
                "first_date": a.first_date.isoformat(),
                "first_session": a.first_session.value,
                "reason": a.reason,
                **a.changes,
            }
            for a in cls.amendments
        ],
    }
    if cls.contact:
        body["contact"] = cls.contact
    if cls.plan_source:
        body["plan_source"] = cls.plan_source
    return body


def serialize_lesson(lesson: Lesson, zone: ZoneInfo) -> LessonBody:
    """Write one lesson as JSON."""
    body: LessonBody = {
        "date": lesson.date.isoformat(),
        "session": lesson.session.value,
        "start": format_clock_time(lesson.start, zone),
        "end": format_clock_time(lesson.end, zone),
        "room_id": lesson.room_id,
        "kind": lesson.kind,
        "content": lesson.content,
        "teacher": lesson.teacher,
        "staff_in_room": lesson.staff_in_room,
    }
    if lesson.cancelled:
        body["cancelled"] = True
    return body


def format_clock_time(moment: datetime, zone: ZoneInfo) -> str:
    """Format a local time: HH:MM, with seconds where there are any."""
    clock = moment.astimezone(zone).time()
    return clock.isoformat("seconds" if clock.second else "minutes")


def _build(body: Mapping[str, object], zone: ZoneInfo, report: ImportReport) -> TrainingClass:
    head = TableReader(report, (), body)
    first, last = head.day("first_day"), head.day("last_day")
    cls = TrainingClass(
        class_id=head.identity("class_id"),
        project=head.text("project", required=True),
        occupation=head.text("occupation", required=True),
        class_number=head.number("class_number", 1, 9999),
        institution=head.text("institution", required=True),
        place=head.text("place", required=True),
        first_day=first or date.min,
        last_day=last or date.max,
        expected=head.number("expected", 1, MOST_TRAINEES),
        head_teacher=head.text("head_teacher"),
        contact=head.text("contact"),
        staff=head.texts("staff"),
        rooms=tuple(rooms.read_room(table) for table in head.tables("rooms")),
        plan_source=head.choice("plan_source", _PLAN_SOURCES, required=False) or "",
    )
    if first and last and first > last:
        head.problem("last_day", "classes.days_order", first=first, last=last)
    if first and last and (last - first).days > LONGEST_CLASS_DAYS:
        head.problem("last_day", "classes.class_too_long", days=LONGEST_CLASS_DAYS)
    rooms.check_rooms(report, cls)
    rows = [(table.path, lesson) for table in head.tables("lessons") if (lesson := read_lesson(table, cls, zone))]
    amendments = tuple(x for table in head.tables("amendments") if (x := _read_amendment(table, cls, rows, zone)))
    head.done()
    cls = replace(cls, amendments=amendments, lessons=tuple(sorted((x for _, x in rows), key=_lesson_sort_key)))
    _check_lessons(report, cls, rows, zone)
    report.finish()
    return cls


def _lesson_sort_key(lesson: Lesson) -> tuple[datetime, str, datetime, bool, str]:
    return lesson.start, lesson.room_id, lesson.end, lesson.cancelled, lesson.content


def _sort_amendments(amendments: tuple[Amendment, ...]) -> list[Amendment]:
    return sorted(amendments, key=lambda a: (a.first_date, a.first_session.order, a.approved))


def read_lesson(table: TableReader, cls: TrainingClass, zone: ZoneInfo) -> Lesson | None:
    """Read one lesson; None if day, time, room or kind cannot be determined."""
    day, start, end = table.day("date"), table.clock("start"), table.clock("end")
    session = table.choice("session", SESSION_NAMES, required=False)
    room, kind = _find_room(table, cls)
    content, teacher = table.text("content", limit=500), table.text("teacher")
    staff, cancelled = table.number("staff_in_room", 0, 50, default=1), table.flag("cancelled")
    table.done()
    if not (day and start and end and room and kind):
        return None
    if end <= start:
        table.problem("end", "classes.time_order", start=start, end=end)
        return None
    begin = local_to_utc(day, start, zone)
    session = session or Session.of(begin.astimezone(zone))
    return Lesson(day, session, begin, local_to_utc(day, end, zone), room, kind, content, teacher, staff, cancelled)


def local_to_utc(day: date, moment: time, zone: ZoneInfo) -> datetime:
    """Convert a local time of the site to aware UTC."""
    return datetime.combine(day, moment, zone).astimezone(UTC)


def _find_room(table: TableReader, cls: TrainingClass) -> tuple[str | None, LessonKind | None]:
    """Find the lesson's room and kind: by its `room_id` field (ID or name), else the class's only room of that kind."""
    name = table.text("room_id")
    kind = table.choice("kind", rooms.ROOM_KINDS, required=False)
    if not name and table.raw.get("kind") in (None, ""):
        table.problem("kind", "classes.no_kind")
    if name:
        found = [r for r in cls.rooms if r.room_id == name] or [r for r in cls.rooms if r.name == name]
        if len(found) == 1:
            return found[0].room_id, kind or found[0].kind
        table.problem("room_id", "classes.unknown_room", value=name, rooms=", ".join(r.room_id for r in cls.rooms))
        return None, kind
    if kind is None:
        return None, None
    fitting = [r for r in cls.rooms if r.kind == kind]
    if len(fitting) == 1:
        return fitting[0].room_id, kind
    word = "classes.many_rooms" if fitting else "classes.no_room"
    table.problem("room_id", word, kind=kind, rooms=", ".join(r.room_id for r in fitting))
    return None, kind


def _read_amendment(
    table: TableReader, cls: TrainingClass, rows: amend.PlacedLessons, zone: ZoneInfo
) -> Amendment | None:
    approved, first = table.day("approved"), table.day("first_date")
    session = table.choice("first_session", SESSION_NAMES, required=False) or Session.AM
    reason = table.text("reason", required=True, limit=500)
    changes = amend.read_field_changes(table, MOST_TRAINEES)
    moves = amend.apply_lesson_changes(table, rows, (first, session), lambda t: read_lesson(t, cls, zone), zone)
    table.done()
    if not changes and not moves:
        table.problem("expected", "classes.empty_amendment")
    if not approved or not first:
        return None
    return Amendment(approved, first, session, reason, {**changes, **moves})


def _check_lessons(report: ImportReport, cls: TrainingClass, rows: amend.PlacedLessons, zone: ZoneInfo) -> None:
    """Check that lessons are within the class's days, sessions in order of the day, and one lesson at a time per room."""
    changes = [a.changes for a in cls.amendments]
    first = min([cls.first_day, *(date.fromisoformat(c["first_day"]) for c in changes if "first_day" in c)])
    last = max([cls.last_day, *(date.fromisoformat(c["last_day"]) for c in changes if "last_day" in c)])
    held = sorted(((p, x) for p, x in rows if not x.cancelled), key=lambda row: row[1].start)
    for path, lesson in held:
        if not first <= lesson.date <= last:
            report.add((*path, "date"), "classes.outside", day=lesson.date, first=first, last=last)
    until: dict[str, tuple[FieldPath, Lesson]] = {}
    for path, lesson in held:
        before = until.get(lesson.room_id)
        if before and before[1].end > lesson.start:
            report.add(
                (*path, "start"),
                "classes.overlap",
                room=lesson.room_id,
                day=lesson.date,
                start=format_clock_time(lesson.start, zone),
                other=report.where(before[0]),
                end=format_clock_time(before[1].end, zone),
            )
        if before is None or before[1].end < lesson.end:
            until[lesson.room_id] = (path, lesson)
    _check_sessions(report, held)


def _check_sessions(report: ImportReport, held: amend.PlacedLessons) -> None:
    """Report lessons that start before an earlier session of the day has ended, whatever the plan calls them."""
    ends: dict[tuple[date, int], datetime] = {}
    for _, lesson in held:
        key = (lesson.date, lesson.session.order)
        ends[key] = max(ends.get(key, lesson.end), lesson.end)
    for path, lesson in held:
        earlier = [e for (day, order), e in ends.items() if day == lesson.date and order < lesson.session.order]
        if earlier and lesson.start < max(earlier):
            report.add((*path, "session"), "classes.session_order", session=lesson.session.folder, day=lesson.date)
