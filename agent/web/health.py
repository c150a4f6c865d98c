"""What the box finds of itself: the doctor's last examination, each finding with its mend, for whoever is signed in."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from starlette.responses import Response

from agent.catalog.health import worst
from agent.clock import rfc3339
from agent.web import problems
from agent.web.site import Visit

OLD = timedelta(minutes=15)
"""The agent examines itself each five minutes: one that is older says that it no longer does."""


def page(v: Visit) -> Response:
    """The light of the box, then what wants something, then what is well."""
    last = v.site.catalog.health.last()
    findings = [f.within(v.language) for f in last.ranked()] if last else []
    state = light(v)
    v.note_once("view.health")
    return v.page(
        "health.html", at=last.at if last else None, state=state, well=[f for f in findings if f.severity == "ok"],
        wrong=[f for f in findings if f.severity != "ok"],
    )  # fmt: skip


def light(v: Visit) -> str:
    """Of the box: ok, info, warning, critical; unknown where there is none or it is old."""
    last = v.site.catalog.health.last()
    return "unknown" if last is None or v.site.clock.now() - last.at > OLD else worst(last.findings)


def call(v: Visit, given: Mapping[str, Any]) -> Any:
    """The same for programs; words by Accept-Language."""
    last, lang = v.site.catalog.health.last(), problems.language(v.request)
    if last is None:
        return {"at": None, "fresh": False, "worst": None, "items": []}
    return {
        "at": rfc3339(last.at, v.site.catalog.zone), "fresh": v.site.clock.now() - last.at <= OLD,
        "worst": worst(last.findings), "items": [f.within(lang).as_data() for f in last.ranked()],
    }  # fmt: skip
