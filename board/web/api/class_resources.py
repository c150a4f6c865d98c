"""The API's calls about classes: search, one class, its half-days with what each box reported."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from agent.contract.arguments import ClassArguments
from agent.contract.county import (
    ClassBoxBody,
    CountyClassBody,
    CountyClassBriefBody,
    CountyClassListBody,
    CountyHalfDayBody,
    CountyHalfDayListBody,
    HalfDayReportBody,
)
from agent.contract.county_arguments import CountyClassesArguments
from agent.website.api.endpoint import BASE
from board.queries.classes import list_class_boxes, search_classes
from board.queries.half_days import ReportedHalfDay
from board.web.pages.class_rows import ClassDayRow, find_named_class, get_today, list_rows
from board.web.site import BoardVisit

_DAY = re.compile(r"20\d\d-\d\d-\d\d")


def list_classes(v: BoardVisit, asked: CountyClassesArguments) -> CountyClassListBody:
    words = asked.q.split()
    on = asked.on.isoformat() if asked.on else next((word for word in words if _DAY.fullmatch(word)), "")
    found = search_classes(
        v.site.database,
        " ".join(word for word in words if not _DAY.fullmatch(word)),
        today=get_today(v),
        on=on,
        stage=asked.state,
        institution=v.institution,
        after=asked.after or "",
        limit=asked.limit + 1,
    )
    shown = [_build_brief(row) for row in found[: asked.limit]]
    return {"items": shown, "next": shown[-1]["class_id"] if len(found) > asked.limit else None}


def _build_brief(row: Mapping[str, Any]) -> CountyClassBriefBody:
    return {
        "class_id": row["class_id"],
        "project": row["project"],
        "occupation": row["occupation"],
        "class_number": row["class_number"],
        "institution": row["institution"],
        "place": row["place"],
        "first_day": row["first_day"],
        "last_day": row["last_day"],
        "expected": row["expected"],
        "state": row["stage"],
        "boxes": row["boxes"],
        "href": f"{BASE}/classes/{row['class_id']}",
    }


def get_class(v: BoardVisit, asked: ClassArguments) -> CountyClassBody:
    row, _ = find_named_class(v)
    boxes = list_class_boxes(v.site.database, asked.class_id, v.site.clock.now())
    brief = _build_brief(row | {"boxes": [box["box"] for box in boxes]})
    approved = json.loads(row["body"]) if row["body"] else None
    return {**brief, "approved": approved, "reporting": [_build_class_box(v, box) for box in boxes]}


def _build_class_box(v: BoardVisit, row: Mapping[str, Any]) -> ClassBoxBody:
    return {
        "box": row["box"],
        "presence": row["presence"],
        "last_seen": v.stamp(row["last_seen"]),
        "first_seen": v.stamp(row["first_seen"]),
        "ready": None if row["ready"] is None else bool(row["ready"]),
        "checked_at": v.stamp(row["checked_at"]),
    }


def list_half_days(v: BoardVisit, asked: ClassArguments) -> CountyHalfDayListBody:
    _, approved = find_named_class(v)
    rows = list_rows(v, asked.class_id, approved, [])
    return {"items": [_build_half_day(v, row) for row in rows], "next": None}


def _build_half_day(v: BoardVisit, row: ClassDayRow) -> CountyHalfDayBody:
    boxes = [_build_report(v, box) for box in row.boxes]
    return {"date": row.date, "session": row.session, "expected": row.expected, "boxes": boxes}


def _build_report(v: BoardVisit, told: ReportedHalfDay) -> HalfDayReportBody:
    figures = told.figures
    return {
        "box": told.box,
        "revision": figures.get("revision"),
        "status": figures.get("status"),
        "at": v.stamp(figures.get("at")),
        "expected": figures.get("expected"),
        "present": figures.get("present"),
        "low": figures.get("low"),
        "high": figures.get("high"),
        "at_start": figures.get("at_start"),
        "at_end": figures.get("at_end"),
        "lesson_s": figures.get("lesson_s"),
        "judged_s": figures.get("judged_s"),
        "signed_in": figures.get("signed_in"),
        "signed_out": figures.get("signed_out"),
        "gaps": told.gaps,
        "alerts": [{"kind": kind, "open": is_open} for kind, is_open in sorted(told.alerts.items())],
        "closed": told.head or None,
        "witness": told.witness or None,  # type: ignore[typeddict-item]  # one of the three that the table has
        "witness_reason": told.reason or None,
        "witnessed_at": v.stamp(told.witnessed_at),
        "recovered": told.recovered,
    }
