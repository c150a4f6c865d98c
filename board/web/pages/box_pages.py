"""The boxes of the county: who needs somebody, and everything about one of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from datetime import datetime, timedelta

from starlette.exceptions import HTTPException
from starlette.responses import Response

from agent.core.clock import parse_time
from board.queries.alarms import judge_alarm_severity, list_alarms
from board.queries.alerts import list_box_alerts
from board.queries.box_detail import BoxDetail, load_box
from board.queries.boxes import BoxState, judge_presence, list_boxes
from board.web.site import BoardVisit

LOW_DAYS = 7.0
"""A drive with fewer days left is marked."""
ENDING = timedelta(days=30)
"""A certificate that ends within it is marked."""
CHECKS = ("service", "page", "certificate", "clock", "cameras", "drive", "model", "bureau", "schedule", "database", "rights",
          "backup", "versions", "alert", "class")  # fmt: skip
"""Beginnings of the names of a box's own checks, for which there are words."""


def show_boxes(v: BoardVisit) -> Response:
    """List the boxes, those that need somebody first."""
    v.note_once("view.boxes")
    now = v.site.clock.now()
    found = list_boxes(v.site.database, now, institution=v.institution)
    usual = find_usual_version(found)
    ranked = sorted(found, key=lambda box: (-rank_need(box, now), box.name))
    counts = Counter(box.presence for box in found)
    return v.page("boxes.html", boxes=ranked, usual=usual, counts=counts, low=LOW_DAYS, soon=now + ENDING)


def rank_need(box: BoxState, now: datetime) -> int:
    """Return how much a box needs somebody: 3 evidence or no contact, 2 critical, 1 to look at, 0 well, -1 revoked."""
    if box.presence == "revoked":
        return -1
    if box.alarms or box.presence in ("silent", "offline"):
        return 3
    if box.worst == "critical" or box.alerts:
        return 2
    low = box.days_left is not None and box.days_left < LOW_DAYS
    low |= box.certificate_until is not None and box.certificate_until < now + ENDING
    return 1 if low or box.worst == "warning" or box.presence != "online" or box.clock == "unknown" else 0


def find_usual_version(found: list[BoxState]) -> str:
    """Return the version that most boxes have."""
    counts = Counter(box.version for box in found if box.version and box.presence != "revoked")
    return counts.most_common(1)[0][0] if counts else ""


def show_box(v: BoardVisit) -> Response:
    """Show one box; of another institution it is as if it were not there."""
    site, name = v.request.path_params["site"], v.request.path_params["box"]
    found = load_box(v.site.database, v.site.options.county, site, name, institution=v.institution)
    if found is None:
        raise HTTPException(404)
    whole, row = str(found.row["name"]), found.row
    v.note_once("view.box", whole)
    now = v.site.clock.now()
    everything = list_boxes(v.site.database, now, institution=v.institution)
    state = next(box for box in everything if box.name == whole)
    return v.page(
        "box.html",
        box=found,
        row=row,
        state=state,
        presence=_judge(found, now),
        soon=now + ENDING,
        usual=find_usual_version(everything),
        low=LOW_DAYS,
        drive=_get(found.beat, "drive"),
        beats={str(c.get("camera_id")): c for c in _list(found.beat, "cameras")},
        doctor=_get(found.beat, "doctor"),
        checks=_list_checks(found),
        newest=_get(found.beat, "statements"),
        alerts=list_box_alerts(v.site.database, int(str(row["id"])), institution=v.institution),
        alarms=list_alarms(v.site.database, box=whole, open_only=False, limit=50) if v.is_staff else [],
        grade=judge_alarm_severity,
        local=lambda at: _say_time(v, at),
    )


def _judge(found: BoxDetail, now: datetime) -> str:
    beat_at, state = found.row["beat_at"], found.row["state"]
    at = parse_time(str(beat_at)) if beat_at else None
    return judge_presence(str(state) if state else None, at, now, revoked=found.row["revoked_at"] is not None)


def _list_checks(found: BoxDetail) -> list[tuple[str, str, Mapping[str, str] | None]]:
    """Return the checks that need somebody: name, beginning that has words, and what the box found where it told.

    The names come with each heartbeat, findings less often: a name without a finding has only the board's own words.
    """
    told = {finding["check"]: finding for finding in found.self_check.findings}
    names = [str(name)[:64] for name in _list_any(_get(found.beat, "doctor"), "checks")]
    return [(name, _find_check(name), told.get(name)) for name in names]


def _find_check(name: str) -> str:
    first = name.partition(".")[0]
    return first if first in CHECKS else "other"


def _get(table: Mapping[str, object], name: str) -> Mapping[str, object]:
    found = table.get(name)
    return found if isinstance(found, dict) else {}


def _list_any(table: Mapping[str, object], name: str) -> list[object]:
    found = table.get(name)
    return found[:100] if isinstance(found, list) else []


def _list(table: Mapping[str, object], name: str) -> list[Mapping[str, object]]:
    return [item for item in _list_any(table, name) if isinstance(item, dict)]


def _say_time(v: BoardVisit, at: object) -> str:
    """Return a time of the database or of a message in the county's time; "—" where there is none."""
    try:
        return parse_time(str(at)).astimezone(v.site.zone).strftime("%Y-%m-%d %H:%M") if at else "—"
    except (ValueError, OverflowError):
        return "—"
