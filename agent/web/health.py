"""What the box finds of itself: the doctor's last examination, each finding with its mend, for whoever is signed in."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from starlette.responses import Response

from agent.catalog.health import find_worst_severity
from agent.core import clock as clocks
from agent.web import problems
from agent.web.site import PageVisit

GONE = timedelta(minutes=1)
"""The agent writes its sign of life each five seconds (`agent/service/run_history.py`)."""
OLD = timedelta(minutes=15)
"""The agent examines itself each five minutes: one that is older says that it no longer does."""


def show_health(v: PageVisit) -> Response:
    """The light of the box, then what wants something, then what is well."""
    last = v.site.catalog.health.last()
    findings = [f.within(v.language) for f in last.ranked()] if last else []
    state = assess_health(v)
    v.note_once("view.health")
    return v.page(
        "health.html", at=last.at if last else None, state=state, well=[f for f in findings if f.severity == "ok"],
        wrong=[f for f in findings if f.severity != "ok"],
    )  # fmt: skip


def assess_health(v: PageVisit) -> str:
    """Of the box: ok, info, warning, critical; unknown where there is none, it is old, or the agent does not run."""
    last, now = v.site.catalog.health.last(), v.site.clock.now()
    alive = v.site.catalog.facts.get("alive")
    gone = alive is not None and now - clocks.parse_time(alive) > GONE
    return "unknown" if last is None or now - last.at > OLD or gone else find_worst_severity(last.findings)


def get_health(v: PageVisit, given: Mapping[str, Any]) -> Any:
    """The same for programs; words by Accept-Language."""
    last, lang = v.site.catalog.health.last(), problems.choose_language(v.request)
    if last is None:
        return {"at": None, "fresh": False, "worst": None, "items": []}
    return {
        "at": clocks.format_local(last.at, v.site.catalog.zone), "fresh": assess_health(v) != "unknown",
        "worst": find_worst_severity(last.findings), "items": [f.within(lang).as_data() for f in last.ranked()],
    }  # fmt: skip
