"""The list of classes, with search; alerts of all classes, past and present."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlencode

from starlette.responses import Response

from agent.core import class_search
from agent.core import clock as clocks
from agent.core.class_model import TrainingClass
from agent.core.model import Session
from agent.web.site import PageVisit

_LISTED = 200
_ALERTS = 100


@dataclass(frozen=True, slots=True)
class ClassListRow:
    cls: TrainingClass
    state: str
    expected: int


def show_classes(v: PageVisit) -> Response:
    """List the classes that match `q`, `state` and `month`, those under way first; a single hit of `q` is opened."""
    typed = v.query("q").strip()[:80]
    query = class_search.parse_query(typed, v.query("state"), v.query("month"))
    known = v.site.classes()
    today = clocks.get_local_day(v.site.clock.now(), v.site.catalog.zone)
    exact = next((c for c in known if c.class_id.casefold() == typed.casefold()), None)
    found = [exact] if exact else class_search.search_classes(known, query, today)
    if typed and len(found) == 1:
        return v.go(_find_place(query, found[0]))
    rows = [
        ClassListRow(c, class_search.get_class_state(c, today), c.expected_on(min(today, c.last_day), Session.EV))
        for c in found[:_LISTED]
    ]
    v.note("view.classes", "", {"q": typed} if typed else None)
    return v.page(
        "classes.html",
        rows=rows,
        q=typed,
        query=query,
        months=class_search.list_months(known),
        states=class_search.STATES,
        more=len(found) - len(rows),
    )


def _find_place(query: class_search.ClassQuery, cls: TrainingClass) -> str:
    """Return the URL of a class; at the row of a day that was asked for."""
    day = class_search.find_day(query, cls)
    return f"/classes/{cls.class_id}" + (f"#d{day}" if day else "")


def show_alerts(v: PageVisit) -> Response:
    """List the alerts, the newest first; `class` and `state` (open) select, `before` turns the page."""
    wanted, state = v.query("class").strip()[:64], "open" if v.query("state") == "open" else ""
    before = v.query("before")
    found = v.site.catalog.alerts.page(
        _ALERTS + 1,
        class_id=wanted,
        only_open=state == "open",
        before=int(before) if before.isascii() and before.isdigit() and len(before) < 16 else None,
    )
    v.note_once("view.alerts", wanted)
    kept = {"class": wanted, "state": state}
    older = urlencode({**kept, "before": found[_ALERTS - 1][0]}) if len(found) > _ALERTS else ""
    return v.page(
        "alerts.html",
        alerts=[alert for _, alert in found[:_ALERTS]],
        wanted=wanted,
        state=state,
        older=older,
        known={c.class_id for c in v.site.classes()},
    )
