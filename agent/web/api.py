"""The calls of the API: the pages' content as JSON for the bureau's programs. The OpenAPI document is made from this table."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date, timedelta
from typing import Any

from starlette.exceptions import HTTPException

from agent.attendance import figures
from agent.attendance.classes import serialize_class
from agent.core import clock as clocks
from agent.core.camera_model import Camera
from agent.core.class_model import TrainingClass, find_class
from agent.core.clock import format_local
from agent.core.model import Look, Segment, Session
from agent.drive import class_gaps
from agent.inspection import spot_check
from agent.inspection.cut import ClipSpan
from agent.web import trail, watch
from agent.web.calls import BASE
from agent.web.pages import get_class_state, parse_clock_on_day
from agent.web.problems import ApiProblem
from agent.web.site import PageVisit

Given = Mapping[str, Any]
_MANY = 200


def _class(v: PageVisit, given: Given) -> TrainingClass:
    found = find_class(v.site.classes(), given["class_id"])
    if found is None:
        raise ApiProblem(404, "api.not_found")
    return found


def _cut_page(
    items: Sequence[Any], key: Callable[[Any], Any], given: Given, body: Callable[[Any], Any]
) -> dict[str, Any]:
    """At most `limit` items; `next` is the `after` of the following page. Items come in order of `key`."""
    after, limit = given.get("after"), given.get("limit", _MANY)
    rest = [x for x in items if after is None or key(x) > after]
    return {"items": [body(x) for x in rest[:limit]], "next": key(rest[limit - 1]) if len(rest) > limit else None}


def _items(rows: Iterable[Any]) -> dict[str, Any]:
    return {"items": list(rows), "next": None}


def list_classes(v: PageVisit, given: Given) -> Any:
    today, query = clocks.get_local_day(v.site.clock.now(), v.site.catalog.zone), given.get("q", "").lower()
    found = sorted(v.site.classes(), key=lambda c: c.class_id)
    found = [c for c in found if query in " ".join([c.class_id, c.project, c.occupation, c.place]).lower()]
    return _cut_page(found, lambda c: c.class_id, given, lambda c: _build_brief(c, today))


def _build_brief(c: TrainingClass, today: date) -> dict[str, Any]:
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


def get_class(v: PageVisit, given: Given) -> Any:
    cls, zone = _class(v, given), v.site.catalog.zone
    today = clocks.get_local_day(v.site.clock.now(), zone)
    book = class_gaps.load_gap_book(v.site.catalog, v.site.classes(), cls.class_id, v.site.clock.now())
    links = [
        {
            "date": x.date.isoformat(),
            "session": x.session.value,
            "sequence": x.sequence,
            "drive_id": x.drive_id,
            "head": x.head,
            "key": x.public_key,
            "closed_at": format_local(x.closed_at, zone),
        }
        for x in v.site.catalog.chain.of_class(cls.class_id)
    ]
    halves = [
        {"date": d.isoformat(), "session": s.value, "expected": cls.expected_on(d, s),
         "missing": book.total(d, s).as_object()}
        for d, s in cls.half_days()
    ]  # fmt: skip
    return _build_brief(cls, today) | {"approved": serialize_class(cls, zone), "half_days": halves, "chain": links}


def _find_half_day(v: PageVisit, cls: TrainingClass, given: Given) -> tuple[date, Session]:
    found = (given["date"], given["session"])
    if found not in cls.half_days():
        raise ApiProblem(404, "api.not_found")
    return found


def list_attendance(v: PageVisit, given: Given) -> Any:
    return _items(v.site.catalog.attendance.of_class(_class(v, given).class_id))


def get_half_day(v: PageVisit, given: Given) -> Any:
    cls = _class(v, given)
    day, session = _find_half_day(v, cls, given)
    now = v.site.clock.now()
    shown = figures.load_half_day_figures(v.site.catalog, cls, day, session, now, v.site.options.rules)
    book = class_gaps.load_gap_book(v.site.catalog, v.site.classes(), cls.class_id, now, day, session)
    return shown.as_object(v.site.catalog.zone) | {"missing": book.total().as_object()}


def list_gaps(v: PageVisit, given: Given) -> Any:
    cls, now = _class(v, given), v.site.clock.now()
    book = class_gaps.load_gap_book(
        v.site.catalog, v.site.classes(), cls.class_id, now, given.get("date"), given.get("session")
    )
    camera = given.get("camera_id")
    rows = _items(
        class_gaps.build_gap_object(g, v.site.catalog.zone) for g in book.gaps if camera in (None, g.camera_id)
    )
    return rows | {"missing": book.total().as_object()}


def list_segments(v: PageVisit, given: Given) -> Any:
    cls, camera = _class(v, given), given.get("camera_id")
    rows = v.site.catalog.segments.of_class(cls.class_id, given.get("date"), given.get("session"))
    rows = sorted((s for s in rows if camera in (None, s.camera_id)), key=lambda s: s.segment_id)
    return _cut_page(rows, lambda s: s.segment_id, given, lambda s: _build_segment_body(v, s))


def _build_segment_body(v: PageVisit, s: Segment) -> dict[str, Any]:
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


def list_looks(v: PageVisit, given: Given) -> Any:
    cls = _class(v, given)
    found = v.site.catalog.looks.of_half_day(cls.class_id, *_find_half_day(v, cls, given))
    return _items(_build_look_body(v, x) for x in found if given.get("camera_id") in (None, x.camera_id))


def _build_look_body(v: PageVisit, x: Look) -> dict[str, Any]:
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


def list_class_alerts(v: PageVisit, given: Given) -> Any:
    alerts = v.site.catalog.alerts
    return _items(alerts.as_data(a) for a in alerts.of_class(_class(v, given).class_id))


def list_open_alerts(v: PageVisit, given: Given) -> Any:
    alerts = v.site.catalog.alerts
    return _items(alerts.as_data(a) for a in alerts.opened())


def cut(v: PageVisit, given: Given) -> Any:
    cls = _class(v, given)
    start, end = parse_clock_on_day(given["date"], given["from"], v), parse_clock_on_day(given["date"], given["to"], v)
    assert start is not None
    assert end is not None
    camera = given.get("camera_id")
    clip_id = watch.write_clip(v, cls, ClipSpan(start, end), (camera,) if camera else (), given.get("why", ""))
    return _clip(v, clip_id)


def clip(v: PageVisit, given: Given) -> Any:
    return _clip(v, given["clip_id"])


def _clip(v: PageVisit, clip_id: str) -> dict[str, Any]:
    bodies, href = watch.read_manifests(v.site, clip_id), f"{BASE}/clips/{clip_id}"
    files = []
    for body in bodies:
        name = str(body["clip"]["file"])
        paper = f"{href}/files/{name.removesuffix('.mp4')}.json"
        files.append(
            {
                "href": f"{href}/files/{name}",
                "manifest_href": paper,
                "manifest": body,
                "signature_href": f"{paper}.sig" if body["public_key"] else None,
            }
        )
    return {"clip_id": clip_id, "href": href, "class_id": bodies[0]["class_id"], "files": files}


def clip_file(v: PageVisit, given: Given) -> Any:
    sent = watch.send_clip_file(v, given["clip_id"], given["name"], save=True)
    if sent.status_code == 416:
        raise HTTPException(416, headers={"Content-Range": sent.headers["Content-Range"]})
    return sent


def draw(v: PageVisit, given: Given) -> Any:
    cls, zone = _class(v, given), v.site.catalog.zone
    made = spot_check.draw_and_record(
        v.site.catalog,
        v.site.clock,
        cls,
        count=given["count"],
        seconds=given["seconds"],
        seed=given.get("seed"),
        within=None,
        who=v.who,
    )
    moments = [
        {
            "draw": m.draw,
            "start": format_local(m.span.start, zone),
            "end": format_local(m.span.end, zone),
            "room_id": m.lesson.room_id,
            "cameras": list(cls.room(m.lesson.room_id).cameras),
        }
        for m in made.moments
    ]
    about = {key: made.about.get(key) for key in ("seed", "seed_from", "head", "counter")}
    return {**about, "moments": moments, "href": f"{BASE}/classes/{cls.class_id}/audit"}


def list_cameras(v: PageVisit, given: Given) -> Any:
    return _items(_build_camera_body(v, c) for c in v.site.catalog.cameras.all())


def _build_camera_body(v: PageVisit, c: Camera) -> dict[str, Any]:
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
        "class_id": writing[-1].class_id if writing else None,
        "picture": f"{BASE}/cameras/{c.camera_id}/now.jpg" if writing else None,
        "look": _build_look_body(v, look) if look and fresh else None,
    }


def list_audit(v: PageVisit, given: Given) -> Any:
    """Newest first, so `before` pages on."""
    v.settle()
    limit = given.get("limit", _MANY)
    entries = v.site.catalog.audit.recent(limit, given.get("before"))
    last = entries[-1].entry_id if entries else 1
    return {
        "items": [trail.build_audit_row(e) for e in entries],
        "next": last if last > 1 else None,
        "head": v.site.catalog.audit.head(),
        "broken_at": v.site.catalog.audit.verify_new(),
    }


def list_class_audit(v: PageVisit, given: Given) -> Any:
    cls = _class(v, given)
    v.settle(cls.class_id)
    entries = v.site.catalog.audit.of_object(cls.class_id)
    return _cut_page(entries, lambda e: e.entry_id, given, trail.build_audit_row)
