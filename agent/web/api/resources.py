"""The calls of the API: the pages' content as JSON for the bureau's programs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date, timedelta
from typing import TypeVar
from zoneinfo import ZoneInfo

from agent.attendance import figures
from agent.class_files.classes import serialize_class
from agent.contract.alerts import AlertListBody
from agent.contract.arguments import (
    Arguments,
    AuditArguments,
    ClassArguments,
    ClassAuditArguments,
    ClassesArguments,
    GapsArguments,
    HalfDayArguments,
    LooksArguments,
    SegmentsArguments,
)
from agent.contract.attendance import AttendanceListBody, HalfDayBody, SignInsBody
from agent.contract.audit import AuditBody, AuditListBody
from agent.contract.cameras import CameraBody, CameraListBody
from agent.contract.classes import (
    ClassBody,
    ClassBriefBody,
    ClassHalfDayBody,
    ClassListBody,
    ClosedHalfDayBody,
    CountersignatureBody,
)
from agent.contract.recordings import GapListBody, LookBody, LookListBody, SegmentBody, SegmentListBody
from agent.core import clock as clocks
from agent.core.camera_model import Camera
from agent.core.class_model import TrainingClass, find_class
from agent.core.class_search import get_class_state
from agent.core.clock import format_local
from agent.core.model import Look, Segment, Session
from agent.core.sign_in import SignInCount, build_signed_counts
from agent.core.witness_text import WitnessText
from agent.drive import class_gaps
from agent.web.pages import audit_report
from agent.web.site import PageVisit
from agent.website.api.endpoint import BASE
from agent.website.http.problems import ApiProblem

T = TypeVar("T")
K = TypeVar("K", int, str)


def require_class(v: PageVisit, class_id: str) -> TrainingClass:
    """Return a class of the box. Raises Problem 404."""
    found = find_class(v.site.classes(), class_id)
    if found is None:
        raise ApiProblem(404, "api.not_found")
    return found


def _cut_page(items: Sequence[T], key: Callable[[T], K], after: K | None, limit: int) -> tuple[list[T], K | None]:
    """Cut a page of at most `limit` items, which come in order of `key`; with it the `after` of the next page."""
    rest = [x for x in items if after is None or key(x) > after]
    return rest[:limit], key(rest[limit - 1]) if len(rest) > limit else None


def list_classes(v: PageVisit, asked: ClassesArguments) -> ClassListBody:
    today, query = clocks.get_local_day(v.site.clock.now(), v.site.catalog.zone), asked.q.lower()
    found = sorted(v.site.classes(), key=lambda c: c.class_id)
    found = [c for c in found if query in " ".join([c.class_id, c.project, c.occupation, c.place]).lower()]
    shown, following = _cut_page(found, lambda c: c.class_id, asked.after, asked.limit)
    return {"items": [_build_brief(c, today) for c in shown], "next": following}


def _build_brief(c: TrainingClass, today: date) -> ClassBriefBody:
    return {
        "class_id": c.class_id,
        "project": c.project,
        "occupation": c.occupation,
        "class_number": c.class_number,
        "institution": c.institution,
        "place": c.place,
        "first_day": c.first_day.isoformat(),
        "last_day": c.last_day.isoformat(),
        "expected": c.expected_on(min(today, c.last_day), Session.EV),
        "state": get_class_state(c, today),
        "href": f"{BASE}/classes/{c.class_id}",
    }


def get_class(v: PageVisit, asked: ClassArguments) -> ClassBody:
    cls, zone = require_class(v, asked.class_id), v.site.catalog.zone
    today = clocks.get_local_day(v.site.clock.now(), zone)
    book = class_gaps.load_gap_book(v.site.catalog, v.site.classes(), cls.class_id, v.site.clock.now())
    halves: list[ClassHalfDayBody] = [
        {
            "date": d.isoformat(),
            "session": s.value,
            "expected": cls.expected_on(d, s),
            "missing": book.total(d, s).as_object(),
        }
        for d, s in cls.half_days()
    ]
    return {
        **_build_brief(cls, today),
        "approved": serialize_class(cls, zone),
        "half_days": halves,
        "chain": _list_closed(v, cls),
    }


def _list_closed(v: PageVisit, cls: TrainingClass) -> list[ClosedHalfDayBody]:
    catalog, zone = v.site.catalog, v.site.catalog.zone
    signed = {(x.sequence, x.head): x.parse() for x in catalog.witnesses.of_class(cls.class_id)}
    return [
        {
            "date": x.date.isoformat(),
            "session": x.session.value,
            "sequence": x.sequence,
            "drive_id": x.drive_id,
            "head": x.head,
            "key": x.public_key,
            "closed_at": format_local(x.closed_at, zone),
            "countersigned": _build_countersignature(signed.get((x.sequence, x.head)), zone),
        }
        for x in catalog.chain.of_class(cls.class_id)
    ]


def _build_countersignature(text: WitnessText | None, zone: ZoneInfo) -> CountersignatureBody | None:
    if text is None:
        return None
    return {"witness": text.witness, "at": format_local(text.time, zone), "number": text.position.number}


def _find_half_day(cls: TrainingClass, asked: HalfDayArguments) -> tuple[date, Session]:
    found = (asked.date, asked.session)
    if found not in cls.half_days():
        raise ApiProblem(404, "api.not_found")
    return found


def list_attendance(v: PageVisit, asked: ClassArguments) -> AttendanceListBody:
    return {"items": v.site.catalog.attendance.of_class(require_class(v, asked.class_id).class_id), "next": None}


def get_half_day(v: PageVisit, asked: HalfDayArguments) -> HalfDayBody:
    cls = require_class(v, asked.class_id)
    day, session = _find_half_day(cls, asked)
    now = v.site.clock.now()
    shown = figures.load_half_day_figures(v.site.catalog, cls, day, session, now, v.site.options.rules)
    book = class_gaps.load_gap_book(v.site.catalog, v.site.classes(), cls.class_id, now, day, session)
    signed = _build_sign_ins(v, v.site.catalog.sign_ins.get(cls.class_id, day, session))
    key = (day.isoformat(), session.value)
    closed = next((x for x in _list_closed(v, cls) if (x["date"], x["session"]) == key), None)
    body = shown.as_object(v.site.catalog.zone)
    return {**body, "missing": book.total().as_object(), "signed": signed, "closed": closed}


def _build_sign_ins(v: PageVisit, count: SignInCount | None) -> SignInsBody | None:
    if count is None:
        return None
    return {**build_signed_counts(count, v.site.catalog.zone), "by": count.by}


def list_gaps(v: PageVisit, asked: GapsArguments) -> GapListBody:
    cls, now = require_class(v, asked.class_id), v.site.clock.now()
    book = class_gaps.load_gap_book(v.site.catalog, v.site.classes(), cls.class_id, now, asked.date, asked.session)
    zone = v.site.catalog.zone
    rows = [class_gaps.build_gap_object(g, zone) for g in book.gaps if asked.camera_id in (None, g.camera_id)]
    return {"items": rows, "next": None, "missing": book.total().as_object()}


def list_segments(v: PageVisit, asked: SegmentsArguments) -> SegmentListBody:
    cls = require_class(v, asked.class_id)
    rows = v.site.catalog.segments.of_class(cls.class_id, asked.date, asked.session)
    rows = sorted((s for s in rows if asked.camera_id in (None, s.camera_id)), key=lambda s: s.segment_id)
    shown, following = _cut_page(rows, lambda s: s.segment_id, asked.after, asked.limit)
    return {"items": [_build_segment_body(v, s) for s in shown], "next": following}


def _build_segment_body(v: PageVisit, s: Segment) -> SegmentBody:
    zone = v.site.catalog.zone
    assert s.end is not None
    return {
        "segment_id": s.segment_id,
        "drive_id": s.drive_id,
        "path": s.path,
        "class_id": s.class_id,
        "date": s.date.isoformat(),
        "session": s.session.value,
        "room_id": s.room_id,
        "camera_id": s.camera_id,
        "start": format_local(s.start, zone),
        "end": format_local(s.end, zone),
        "bytes": s.bytes,
        "sha256": s.sha256,
        "video": s.video_codec,
        "width": s.width,
        "height": s.height,
        "sound": s.audio_codec,
        "clock": s.trust,
        "serial": s.serial or None,
        "unchecked_since": format_local(s.unchecked_since, zone) if s.unchecked_since else None,
    }


def list_looks(v: PageVisit, asked: LooksArguments) -> LookListBody:
    cls = require_class(v, asked.class_id)
    found = v.site.catalog.looks.of_half_day(cls.class_id, *_find_half_day(cls, asked))
    return {"items": [_build_look_body(v, x) for x in found if asked.camera_id in (None, x.camera_id)], "next": None}


def _build_look_body(v: PageVisit, x: Look) -> LookBody:
    return {
        "camera_id": x.camera_id,
        "room_id": x.room_id,
        "at": format_local(x.at, v.site.catalog.zone),
        "people": x.people,
        "low": x.low,
        "high": x.high,
        "judged": x.judged,
        "reason": x.reason,
        "detector": x.detector,
    }


def list_class_alerts(v: PageVisit, asked: ClassArguments) -> AlertListBody:
    alerts = v.site.catalog.alerts
    found = alerts.of_class(require_class(v, asked.class_id).class_id)
    return {"items": [alerts.as_data(a) for a in found], "next": None}


def list_open_alerts(v: PageVisit, asked: Arguments) -> AlertListBody:
    alerts = v.site.catalog.alerts
    return {"items": [alerts.as_data(a) for a in alerts.opened()], "next": None}


def list_cameras(v: PageVisit, asked: Arguments) -> CameraListBody:
    return {"items": [_build_camera_body(v, c) for c in v.site.catalog.cameras.all()], "next": None}


def _build_camera_body(v: PageVisit, c: Camera) -> CameraBody:
    writing = v.site.catalog.segments.opened(c.camera_id)
    now = v.site.clock.now()
    look = v.site.catalog.looks.last(c.camera_id, now)
    fresh = look is not None and now - look.at < timedelta(minutes=10)
    return {
        "camera_id": c.camera_id,
        "serial": c.serial,
        "manufacturer": c.manufacturer,
        "model": c.model,
        "verdict": c.verdict.value,
        "reasons": list(c.reasons),
        "up": c.up,
        "exchanged": c.exchanged,
        "accepted_serial": c.accepted,
        "unverified_since": format_local(c.unverified_since, v.site.catalog.zone) if c.unverified_since else None,
        "signs": c.signs,
        "class_id": writing[-1].class_id if writing else None,
        "picture": f"{BASE}/cameras/{c.camera_id}/now.jpg" if writing else None,
        "look": _build_look_body(v, look) if look and fresh else None,
    }


def list_audit(v: PageVisit, asked: AuditArguments) -> AuditBody:
    """Return entries, newest first: `next` is the `before` of the next page."""
    v.settle()
    entries = v.site.catalog.audit.recent(asked.limit, asked.before)
    last = entries[-1].entry_id if entries else 1
    return {
        "items": [audit_report.build_audit_row(e) for e in entries],
        "next": last if last > 1 else None,
        "head": v.site.catalog.audit.head(),
        "broken_at": v.site.catalog.audit.verify_new(),
    }


def list_class_audit(v: PageVisit, asked: ClassAuditArguments) -> AuditListBody:
    cls = require_class(v, asked.class_id)
    v.settle(cls.class_id)
    entries = v.site.catalog.audit.of_object(cls.class_id)
    shown, following = _cut_page(entries, lambda e: e.entry_id, asked.after, asked.limit)
    return {"items": [audit_report.build_audit_row(e) for e in shown], "next": following}
