"""Classes of the whole county: the list with search, and one class."""

from __future__ import annotations

import re
from urllib.parse import urlencode

from starlette.responses import Response

from agent.core.clock import parse_time
from agent.core.model import is_id
from board.queries.alarms import judge_alarm_severity
from board.queries.classes import STAGES, list_class_boxes, search_classes
from board.web.pages.class_rows import find_named_class, get_today, is_known_alert, list_alarms_to_show, list_rows
from board.web.site import BoardVisit

_PAGE = 50
_DAY = re.compile(r"20\d\d-\d\d-\d\d")


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
