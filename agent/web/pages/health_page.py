"""The doctor's last examination of the box, each finding with its remedy, for everybody who is signed in."""

from __future__ import annotations

from datetime import timedelta

from starlette.exceptions import HTTPException
from starlette.responses import Response

from agent.cameras import unit_replacement
from agent.cameras.unit_replacement import ReservedIds
from agent.catalog.health import find_worst_severity
from agent.contract.arguments import Arguments
from agent.contract.health import HealthBody
from agent.core import clock as clocks
from agent.core.camera_model import Camera
from agent.web.site import PageVisit
from agent.website.http import problems

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
        successors=_list_successors(v),
    )


def _list_successors(v: PageVisit) -> dict[str, list[Camera]]:
    """Return, by check of a planned camera that is gone, the units that may take over its ID."""
    catalog, reserved = v.site.catalog, _find_reserved(v)
    gone = [c for c in catalog.cameras.all() if c.camera_id in reserved.planned]
    found = {f"cameras.{c.camera_id}": unit_replacement.list_candidates(catalog, c, reserved) for c in gone}
    return {check: units for check, units in found.items() if units}


def _find_reserved(v: PageVisit) -> ReservedIds:
    return v.site.options.reserved.with_classes(v.site.classes())


def replace_camera(v: PageVisit) -> Response:
    """Give a camera's ID to the unit that was shown; where another one answers there meanwhile, a new look is needed."""
    catalog, chosen = v.site.catalog, v.form.get("unit", "")
    unit = catalog.cameras.get(chosen)
    if unit is None or v.form.get("serial") != unit.identity:
        raise HTTPException(400)
    who = v.me.name if v.me else ""
    camera_id = v.request.path_params["camera_id"]
    unit_replacement.replace_unit(catalog, v.site.clock, camera_id, who, _find_reserved(v), chosen)
    return v.go("/reference")


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
