"""Classes of the whole county: the list with search, one class, one half-day."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlencode

from starlette.exceptions import HTTPException
from starlette.responses import Response

from agent import i18n
from agent.core.class_model import Lesson
from agent.core.clock import parse_time
from agent.core.model import is_id
from agent.core.schedule import RECORDING_MARGIN
from agent.website import curves
from board.calls.ledger import list_calls
from board.queries.alarms import judge_alarm_severity
from board.queries.classes import STAGES, list_class_boxes, search_classes
from board.queries.half_days import HalfDayEvidence, load_half_day
from board.spot_checks.ledger import list_half_day_checks
from board.web.pages.class_rows import (
    find_lessons,
    find_named_class,
    get_today,
    is_known_alert,
    list_alarms_to_show,
    list_rows,
)
from board.web.pages.clip_pages import propose_span
from board.web.site import BoardVisit

_PAGE = 50
_SINGLE, _MOST_ROOMS = timedelta(minutes=5), 50
_DAY = re.compile(r"20\d\d-\d\d-\d\d")
_ROOM = ("expected", "present", "low", "high", "at_start", "at_end", "lesson_s", "judged_s")


@dataclass(frozen=True, slots=True)
class ReportedSpan:
    """A figure as a box reported it, until it reported the next."""

    start: datetime
    end: datetime
    present: int | None
    low: int | None
    high: int | None


@dataclass(frozen=True, slots=True)
class BoxCurve:
    """What one box reported of a half-day, and its curve; None where nothing can be drawn.

    `rooms`: its newest figures by room; `signed`: whether the institution stated sign-ins.
    """

    evidence: HalfDayEvidence
    expected: int | None
    axis: curves.Axis | None
    curve: curves.Curve | None
    rooms: list[dict[str, Any]]
    signed: bool


def show_classes(v: BoardVisit) -> Response:
    """List classes that match `q`, `on` and `state`, those under way first; `after` turns the page."""
    typed, on = v.query("q").strip()[:80], v.query("on")
    on = on if _DAY.fullmatch(on) else ""
    stage = v.query("state") if v.query("state") in STAGES else ""
    after = v.query("after") if is_id(v.query("after")) else ""
    words = [word for word in typed.split() if not _DAY.fullmatch(word)]
    named = next((word for word in typed.split() if _DAY.fullmatch(word)), on)
    found = search_classes(
        v.site.database, " ".join(words), today=get_today(v), on=named, stage=stage,
        institution=v.institution, after=after, limit=_PAGE + 1,
    )  # fmt: skip
    v.note_once("view.classes", "", {"q": typed} if typed else None)
    kept = {"q": typed, "on": on, "state": stage}
    further = urlencode({**kept, "after": found[_PAGE - 1]["class_id"]}) if len(found) > _PAGE else ""
    return v.page(
        "classes.html", rows=found[:_PAGE], q=typed, on=on, stage=stage, stages=STAGES, further=further, after=after
    )


def show_class(v: BoardVisit) -> Response:
    """Show a class: its approval, boxes, and half-days with what each box reported."""
    row, approved = find_named_class(v)
    class_id = str(row["class_id"])
    alarms = list_alarms_to_show(v, class_id)
    rows = list_rows(v, class_id, approved, alarms)
    v.note("view.class", class_id)
    closed = [x for r in rows for x in r.boxes if x.head]
    return v.page(
        "class.html",
        c=row,
        approved=approved,
        boxes=list_class_boxes(v.site.database, class_id, v.site.clock.now()),
        rows=rows,
        closed=len(closed),
        signed=sum(x.witness == "signed" for x in closed),
        parse_time=parse_time,
        known_alert=is_known_alert,
        alarms=alarms,
        grade=judge_alarm_severity,
        recovered=any(x.recovered for r in rows for x in r.boxes),
    )


def show_half_day(v: BoardVisit) -> Response:
    """Show a half-day: curves, rooms, gaps, alerts, alarms, cameras and evidence of each box."""
    row, approved = find_named_class(v)
    class_id, day, session = str(row["class_id"]), v.request.path_params["day"], v.request.path_params["session"]
    alarms = list_alarms_to_show(v, class_id)
    rows = list_rows(v, class_id, approved, alarms)
    places = [(x.date, x.session) for x in rows]
    if (day, session) not in places:
        raise HTTPException(404)
    at = places.index((day, session))
    lessons = find_lessons(approved, day, session)
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
        span=propose_span(lessons),
        boxes=[_draw(v, x, rows[at].expected, lessons) for x in evidence],
        # a box that reported no figures may have video all the same
        holders=[] if evidence else list_class_boxes(v.site.database, class_id, v.site.clock.now()),
        charts=curves,
        parse_time=parse_time,
        known_alert=is_known_alert,
        # those about this half-day, and those open about its boxes as a whole
        alarms=[x for x in alarms if (x["date"], x["session"]) == (day, session) or x["class_id"] is None],
        grade=judge_alarm_severity,
        minutes=_say_minutes,
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
    rooms, signed = _list_rooms(body), isinstance(body.get("signed"), Mapping)
    expected = evidence.reported.figures.get("expected")
    expected = approved if expected is None else expected
    times = [parse_time(x["at"]) for x in revisions]
    if lessons:
        axis = curves.build_axis(lessons, RECORDING_MARGIN)
    elif times:
        axis = curves.Axis(times[0] - RECORDING_MARGIN, times[-1] + RECORDING_MARGIN)
    else:
        return BoxCurve(evidence, expected, None, None, rooms, signed)
    ends = [*times[1:], min(axis.end, max(v.site.clock.now(), times[-1] + _SINGLE)) if times else axis.end]
    spans = [
        ReportedSpan(start, max(start, end), x["present"], x["low"], x["high"])
        for x, start, end in zip(revisions, times, ends, strict=False)
        if start < axis.end
    ]
    curve = curves.build_curve(spans, lessons, expected or 0, axis)
    return BoxCurve(evidence, expected, axis, curve, rooms, signed)


def _list_rooms(body: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the figures by room as a box sent them; what is no number is unknown."""
    listed = body.get("rooms")
    found = []
    for room in listed[:_MOST_ROOMS] if isinstance(listed, list) else []:
        if isinstance(room, Mapping):
            counts = {name: room.get(name) if isinstance(room.get(name), int | float) else None for name in _ROOM}
            found.append({"room_id": str(room.get("room_id") or "")[:32]} | counts)
    return found


def _say_minutes(room: Mapping[str, Any]) -> str:
    judged, lesson = (room[name] for name in ("judged_s", "lesson_s"))
    return "—" if judged is None or lesson is None else f"{judged / 60:.0f} / {lesson / 60:.0f}"


def _sum_hours(spans: list[tuple[str, str]]) -> str:
    seconds = sum((parse_time(end) - parse_time(start)).total_seconds() for start, end in spans)
    return f"{seconds / 3600:.1f}"


def _is_known_gap(reason: object) -> bool:
    return f"gap.{reason}" in i18n.load_catalogue()
