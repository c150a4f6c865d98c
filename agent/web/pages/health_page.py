"""The doctor's last examination of the box, each finding with its remedy, for everybody who is signed in."""

from __future__ import annotations

from datetime import timedelta

from starlette.responses import Response

from agent.catalog.health import find_worst_severity
from agent.contract.arguments import Arguments
from agent.contract.health import HealthBody
from agent.core import clock as clocks
from agent.web.http import problems
from agent.web.site import PageVisit

GONE = timedelta(minutes=1)
"""The agent renews its sign of life every five seconds; without one for this long it does not run."""
OLD = timedelta(minutes=15)
"""The agent examines itself every five minutes; an examination older than this shows that it stopped doing so."""


def show_health(v: PageVisit) -> Response:
    """Show the state of the box, then what needs attention, then what is OK."""
    last = v.site.catalog.health.last()
    findings = [f.within(v.language) for f in last.ranked()] if last else []
    state = assess_health(v)
    v.note_once("view.health")
    return v.page(
        "health.html",
        at=last.at if last else None,
        state=state,
        well=[f for f in findings if f.severity == "ok"],
        wrong=[f for f in findings if f.severity != "ok"],
    )


def assess_health(v: PageVisit) -> str:
    """Return the state of the box: ok, info, warning, critical.

    `unknown` where there is no examination, it is old, or the agent does not run.
    """
    last, now = v.site.catalog.health.last(), v.site.clock.now()
    alive = v.site.catalog.facts.get("alive")
    gone = alive is not None and now - clocks.parse_time(alive) > GONE
    return "unknown" if last is None or now - last.at > OLD or gone else find_worst_severity(last.findings)


def get_health(v: PageVisit, asked: Arguments) -> HealthBody:
    """Return the same for programs; words by Accept-Language."""
    last, lang = v.site.catalog.health.last(), problems.choose_language(v.request)
    if last is None:
        return {"at": None, "fresh": False, "worst": None, "items": []}
    return {
        "at": clocks.format_local(last.at, v.site.catalog.zone),
        "fresh": assess_health(v) != "unknown",
        "worst": find_worst_severity(last.findings),
        "items": [f.within(lang).as_data() for f in last.ranked()],
    }
