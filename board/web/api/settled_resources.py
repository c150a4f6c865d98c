"""The API's calls about a month's settlement, and about ordered video."""

from __future__ import annotations

from calendar import monthrange
from dataclasses import asdict
from datetime import date
from typing import cast

from agent.contract.county import (
    OrderedClipBody,
    OrderedClipListBody,
    SettledClassBody,
    SettledHalfDayBody,
    SettledReportBody,
    SettlementBody,
)
from agent.contract.county_arguments import OrderedClipsArguments, SettlementArguments
from board.clips.orders import OrderedClip, list_clips
from board.settlement.figures import SettlementOrder, load_settlement
from board.settlement.model import SettledClass, SettledHalfDay
from board.web.site import BoardVisit


def get_settlement(v: BoardVisit, asked: SettlementArguments) -> SettlementBody:
    first = date.fromisoformat(f"{asked.month}-01")
    last = first.replace(day=monthrange(first.year, first.month)[1])
    order = SettlementOrder(first, last, asked.institution.strip(), asked.class_id or "")
    found = load_settlement(v.site.database, order, v.site.clock.now(), v.site.zone)
    rest = sorted((x for x in found if x.class_id > (asked.after or "")), key=lambda x: x.class_id)
    shown = [_build_class(settled) for settled in rest[: asked.limit]]
    return {
        "month": asked.month,
        "items": shown,
        "next": shown[-1]["class_id"] if len(rest) > asked.limit else None,
    }


def _build_class(settled: SettledClass) -> SettledClassBody:
    totals = settled.totals
    return {
        "class_id": settled.class_id,
        "institution": settled.institution,
        "occupation": settled.occupation,
        "class_number": settled.class_number,
        "place": settled.place,
        "planned_s": totals.planned_s,
        "taught_s": totals.taught_s,
        "empty_s": totals.empty_s,
        "unknown_s": totals.unknown_s,
        "half_days": [_build_half_day(half_day) for half_day in settled.half_days],
        "to_come": settled.to_come,
    }


def _build_half_day(half_day: SettledHalfDay) -> SettledHalfDayBody:
    return {
        "date": half_day.date,
        "session": half_day.session,
        "expected": half_day.expected,
        "planned_s": half_day.planned_s,
        "taught_s": half_day.taught_s,
        "empty_s": half_day.empty_s,
        "unknown_s": half_day.unknown_s,
        "ratio": half_day.ratio,
        "boxes": [cast("SettledReportBody", asdict(report)) for report in half_day.boxes],
        "alerts": dict(half_day.alerts),
        "checks": dict(half_day.checks),
        "calls": dict(half_day.calls),
        "doubts": list(half_day.doubts),
    }


def list_ordered_clips(v: BoardVisit, asked: OrderedClipsArguments) -> OrderedClipListBody:
    found = list_clips(v.site.database, class_id=asked.class_id or "", before=asked.before or "", limit=asked.limit + 1)
    shown = [_build_order(v, order) for order in found[: asked.limit]]
    return {"items": shown, "next": shown[-1]["clip_id"] if len(found) > asked.limit else None}


def _build_order(v: BoardVisit, order: OrderedClip) -> OrderedClipBody:
    return {
        "clip_id": order.clip_id,
        "kind": order.kind,
        "box": order.box,
        "class_id": order.class_id or None,
        "room_id": order.room_id or None,
        "camera_id": order.camera_id or None,
        "start": v.stamp(order.start),
        "end": v.stamp(order.end),
        "by": order.by,
        "purpose": order.purpose,
        "asked_at": v.stamp(order.asked_at) or "",
        "state": order.state,
        "code": order.code or None,
        "reason": order.reason or None,
        "progress": order.progress,
        "done_at": v.stamp(order.done_at),
        "kept": order.kept,
        "gone": order.gone,
        "files": [
            {"name": file.name, "bytes": file.bytes, "sha256": file.sha256, "received": file.received}
            for file in order.files
        ],
    }
