"""Forms 4 (签到表) and 6 (教学日志) of a half-day: head, content and figures filled in, the rest left to a person."""

from __future__ import annotations

from dataclasses import dataclass

from starlette.responses import Response

from agent.attendance import figures
from agent.contract.attendance import HalfDayFiguresBody
from agent.core.class_model import Lesson, TrainingClass
from agent.core.model import JsonObject
from agent.core.sign_in import find_differences
from agent.web.pages.attendance_sheet import describe_difference
from agent.web.pages.class_pages import find_half_day
from agent.web.pages.document_pages import t
from agent.web.site import PageVisit

_FEWEST_LINES = 50
_MOST_LINES = 150
_COLUMNS = 3
_LOG_LINES = 2


@dataclass(frozen=True, slots=True)
class LogRow:
    """A row of form 6: from, to, content; all "" where the plan has no more lessons."""

    start: str = ""
    end: str = ""
    content: str = ""


def show_form_6(v: PageVisit) -> Response:
    """Show form 6 of a half-day, to print."""
    cls, values = _collect(v)
    lessons: list[Lesson] = values["lessons"]
    zone = v.site.catalog.zone
    rows = [
        LogRow(f"{x.start.astimezone(zone):%H:%M}", f"{x.end.astimezone(zone):%H:%M}", x.content)
        for x in _drop_parallel(lessons)
    ]
    rows += [LogRow()] * (_LOG_LINES - len(rows))
    kinds = dict.fromkeys(t(f"web.kind_{x.kind}") for x in lessons)
    hours = sum((x.end - x.start).total_seconds() for x in _lessons_of_day(cls, lessons[0]))
    v.note("print.form6", cls.class_id, _describe_half_day(lessons[0]))
    return v.page("form6.html", cls=cls, rows=rows, kinds="、".join(kinds), day_hours=hours / 3600, **values)


def show_form_4(v: PageVisit) -> Response:
    """Show form 4 of a half-day, to print: as many lines as trainees are expected, fifty at least as on the form."""
    cls, values = _collect(v)
    lines = min(_MOST_LINES, max(_FEWEST_LINES, int(values["expected"])))
    high = -(-lines // _COLUMNS)
    grid = [
        [n if (n := row + 1 + column * high) <= lines else None for column in range(_COLUMNS)] for row in range(high)
    ]
    contents = dict.fromkeys(x.content for x in values["lessons"] if x.content)
    v.note("print.form4", cls.class_id, _describe_half_day(values["lessons"][0]))
    return v.page("form4.html", cls=cls, grid=grid, contents="；".join(contents), **values)


def _collect(v: PageVisit) -> tuple[TrainingClass, JsonObject]:
    """Return the class, and what both forms show of the half-day."""
    cls, now, catalog = v.the_class(), v.site.clock.now(), v.site.catalog
    day, session = find_half_day(v, cls)
    lessons = cls.lessons_of(day, session)
    count = catalog.sign_ins.get(cls.class_id, day, session)
    shown: HalfDayFiguresBody | None = None
    if lessons[0].start <= now:  # beforehand nobody is absent
        loaded = figures.load_half_day_figures(catalog, cls, day, session, now, v.site.options.rules)
        shown = loaded.as_object(catalog.zone)
    found = find_differences(count, shown, v.site.options.sign_in_share)
    return cls, {
        "day": day,
        "session": session,
        "lessons": lessons,
        "a": shown,
        "count": count,
        "differences": "；".join(map(describe_difference, found)),
        "expected": cls.expected_on(day, session),
        "teachers": "、".join(dict.fromkeys(x.teacher for x in lessons if x.teacher)),
        "places": "、".join(dict.fromkeys(cls.room(x.room_id).name or x.room_id for x in lessons)),
        "z": t,
    }


def _drop_parallel(lessons: list[Lesson]) -> list[Lesson]:
    """Keep one of lessons that are held at the same time in several rooms with the same content."""
    return list({(x.start, x.end, x.content): x for x in lessons}.values())


def _lessons_of_day(cls: TrainingClass, lesson: Lesson) -> list[Lesson]:
    rows = sorted((x for x in cls.lessons if x.date == lesson.date and not x.cancelled), key=lambda x: x.start)
    return list({(x.start, x.end): x for x in rows}.values())


def _describe_half_day(lesson: Lesson) -> dict[str, object]:
    return {"date": lesson.date.isoformat(), "session": lesson.session.value}
