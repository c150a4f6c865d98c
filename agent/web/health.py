"""The doctor's last examination of the box, each finding with its remedy, for everybody who is signed in."""

from __future__ import annotations

from datetime import timedelta

from starlette.responses import Response

from agent import clock as clocks
from agent.catalog.health import worst
from agent.contract.arguments import Arguments
from agent.contract.health import HealthBody
from agent.web import problems
from agent.web.site import Visit

GONE = timedelta(minutes=1)
"""The agent renews its sign of life every five seconds; without one for this long it does not run."""
OLD = timedelta(minutes=15)
"""The agent examines itself every five minutes; an examination older than this shows that it stopped doing so."""


def page(v: Visit) -> Response:
    """Show the state of the box, then what needs attention, then what is OK."""
    last = v.site.catalog.health.last()
    findings = [f.within(v.language) for f in last.ranked()] if last else []
    state = light(v)
    v.note_once("view.health")
    return v.page(
        "health.html",
        at=last.at if last else None,
        state=state,
        well=[f for f in findings if f.severity == "ok"],
        wrong=[f for f in findings if f.severity != "ok"],
    )


def light(v: Visit) -> str:
    """Return the state of the box: ok, info, warning, critical.

    `unknown` where there is no examination, it is old, or the agent does not run.
    """
    last, now = v.site.catalog.health.last(), v.site.clock.now()
    alive = v.site.catalog.facts.get("alive")
    gone = alive is not None and now - clocks.parse(alive) > GONE
    return "unknown" if last is None or now - last.at > OLD or gone else worst(last.findings)


def call(v: Visit, asked: Arguments) -> HealthBody:
    """Return the same for programs; words by Accept-Language."""
    last, lang = v.site.catalog.health.last(), problems.language(v.request)
    if last is None:
        return {"at": None, "fresh": False, "worst": None, "items": []}
    return {
        "at": clocks.rfc3339(last.at, v.site.catalog.zone),
        "fresh": light(v) != "unknown",
        "worst": worst(last.findings),
        "items": [f.within(lang).as_data() for f in last.ranked()],
    }
