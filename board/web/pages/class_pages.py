"""Classes of the whole county: the list with search, one class, one half-day."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

from starlette.exceptions import HTTPException
from starlette.responses import Response

from agent import i18n
from agent.core.class_model import Lesson, TrainingClass
from agent.core.clock import get_local_day, parse_time
from agent.core.model import Session, is_id
from agent.core.schedule import RECORDING_MARGIN
from agent.website import curves
from board.calls.ledger import list_calls
from board.queries.classes import STAGES, find_class, list_class_boxes, search_classes
from board.queries.course_plan import read_approved_class
from board.queries.half_days import HalfDayEvidence, ReportedHalfDay, list_half_days, load_half_day
from board.spot_checks.ledger import list_half_day_checks
from board.web.site import BoardVisit

_PAGE = 50
_SINGLE = timedelta(minutes=5)
_DAY = re.compile(r"20\d\d-\d\d-\d\d")
_SESSIONS = tuple(member.value for member in Session)


@dataclass(frozen=True, slots=True)
class ReportedSpan:
    """A figure as a box reported it, until it reported the next."""

    start: datetime
    end: datetime
    present: int | None
    low: int | None
    high: int | None


@dataclass(frozen=True, slots=True)
class ClassDayRow:
    """A half-day on the class page: as planned, and what each box reported of it."""

    date: str
    session: str
    expected: int | None
    begun: bool
    boxes: list[ReportedHalfDay]


@dataclass(frozen=True, slots=True)
class BoxCurve:
    """What one box reported of a half-day, and its curve; None where nothing can be drawn."""

    evidence: HalfDayEvidence
    expected: int | None
    axis: curves.Axis | None
    curve: curves.Curve | None
    body: dict[str, Any]


def show_classes(v: BoardVisit) -> Response:
    """List classes that match `q`, `on` and `state`, those under way first; `after` turns the page."""
    typed, on = v.query("q").strip()[:80], v.query("on")
    on = on if _DAY.fullmatch(on) else ""
    stage = v.query("state") if v.query("state") in STAGES else ""
    after = v.query("after") if is_id(v.query("after")) else ""
    words = [word for word in typed.split() if not _DAY.fullmatch(word)]
    named = next((word for word in typed.split() if _DAY.fullmatch(word)), on)
    found = search_classes(
        v.site.database, " ".join(words), today=_today(v), on=named, stage=stage,
        institution=v.institution, after=after, limit=_PAGE + 1,
    )  # fmt: skip
    v.note_once("view.classes", "", {"q": typed} if typed else None)
    kept = {"q": typed, "on": on, "state": stage}
    further = urlencode({**kept, "after": found[_PAGE - 1]["class_id"]}) if len(found) > _PAGE else ""
    return v.page(
        "classes.html", rows=found[:_PAGE], q=typed, on=on, stage=stage, stages=STAGES, further=further, after=after
    )


def _today(v: BoardVisit) -> date:
    return get_local_day(v.site.clock.now(), v.site.zone)


def _find(v: BoardVisit) -> tuple[dict[str, Any], TrainingClass | None]:
    """Return the class that the path names, and its approval. Raises HTTPException 404, also for another institution's."""
    class_id = v.request.path_params["class_id"]
    row = find_class(v.site.database, class_id, today=_today(v), institution=v.institution) if is_id(class_id) else None
    if row is None:
        raise HTTPException(404)
    return row, read_approved_class(str(row["body"]), v.site.zone)


def show_class(v: BoardVisit) -> Response:
    """Show a class: its approval, boxes, and half-days with what each box reported."""
    row, approved = _find(v)
    rows = _list_rows(v, str(row["class_id"]), approved)
    v.note("view.class", str(row["class_id"]))
    closed = [x for r in rows for x in r.boxes if x.head]
    return v.page(
        "class.html",
        c=row,
        approved=approved,
        boxes=list_class_boxes(v.site.database, str(row["class_id"])),
        rows=rows,
        closed=len(closed),
        signed=sum(x.witness == "signed" for x in closed),
        parse_time=parse_time,
        known_alert=_is_known_alert,
    )


def _list_rows(v: BoardVisit, class_id: str, approved: TrainingClass | None) -> list[ClassDayRow]:
    reported = list_half_days(v.site.database, class_id)
    planned = [(day.isoformat(), session.value) for day, session in approved.half_days()] if approved else []
    places = sorted({*planned, *((x.date, x.session) for x in reported)}, key=lambda p: (p[0], _SESSIONS.index(p[1])))
    now = v.site.clock.now()
    rows = []
    for day, session in places:
        lessons = _find_lessons(approved, day, session)
        rows.append(
            ClassDayRow(
                day,
                session,
                approved.expected_on(date.fromisoformat(day), Session(session)) or None if approved else None,
                not lessons or lessons[0].start <= now,
                [x for x in reported if (x.date, x.session) == (day, session)],
            )
        )
    return rows


def _find_lessons(approved: TrainingClass | None, day: str, session: str) -> list[Lesson]:
    return approved.lessons_of(date.fromisoformat(day), Session(session)) if approved else []


def show_half_day(v: BoardVisit) -> Response:
    """Show a half-day: curves, gaps, alerts, cameras and evidence of each box."""
    row, approved = _find(v)
    class_id, day, session = str(row["class_id"]), v.request.path_params["day"], v.request.path_params["session"]
    rows = _list_rows(v, class_id, approved)
    places = [(x.date, x.session) for x in rows]
    if (day, session) not in places:
        raise HTTPException(404)
    at = places.index((day, session))
    lessons = _find_lessons(approved, day, session)
    evidence = load_half_day(v.site.database, class_id, day, session)
    v.note("view.half_day", class_id, {"date": day, "session": session})
    return v.page(
        "half_day.html",
        c=row,
        day=day,
        session=session,
        row=rows[at],
        before=places[at - 1] if at else None,
        behind=places[at + 1] if at + 1 < len(places) else None,
        lessons=lessons,
        boxes=[_draw(v, x, rows[at].expected, lessons) for x in evidence],
        charts=curves,
        parse_time=parse_time,
        known_alert=_is_known_alert,
        hours=_sum_hours,
        calls=list_calls(v.site.database, v.site.clock.now(), class_id=class_id, day=day, session=session)
        if v.is_staff
        else [],
        checks=list_half_day_checks(v.site.database, class_id, day, session) if v.is_staff else [],
        known_gap=_is_known_gap,
    )


def _draw(v: BoardVisit, evidence: HalfDayEvidence, approved: int | None, lessons: list[Lesson]) -> BoxCurve:
    revisions = evidence.revisions
    body = json.loads(revisions[-1]["body"]) if revisions else {}
    expected = evidence.reported.figures.get("expected")
    expected = approved if expected is None else expected
    times = [parse_time(x["at"]) for x in revisions]
    if lessons:
        axis = curves.build_axis(lessons, RECORDING_MARGIN)
    elif times:
        axis = curves.Axis(times[0] - RECORDING_MARGIN, times[-1] + RECORDING_MARGIN)
    else:
        return BoxCurve(evidence, expected, None, None, body)
    ends = [*times[1:], min(axis.end, max(v.site.clock.now(), times[-1] + _SINGLE)) if times else axis.end]
    spans = [
        ReportedSpan(start, max(start, end), x["present"], x["low"], x["high"])
        for x, start, end in zip(revisions, times, ends, strict=False)
        if start < axis.end
    ]
    return BoxCurve(evidence, expected, axis, curves.build_curve(spans, lessons, expected or 0, axis), body)


def _sum_hours(spans: list[tuple[str, str]]) -> str:
    seconds = sum((parse_time(end) - parse_time(start)).total_seconds() for start, end in spans)
    return f"{seconds / 3600:.1f}"


def _is_known_alert(kind: str) -> bool:
    """Return whether there are words for a kind of alert; boxes of a newer version may send others."""
    return f"web.alert.{kind}" in i18n.load_catalogue()


def _is_known_gap(reason: object) -> bool:
    return f"gap.{reason}" in i18n.load_catalogue()
