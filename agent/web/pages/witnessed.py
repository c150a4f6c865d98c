"""Who countersigned the half-days of a class, as the pages show it."""

from __future__ import annotations

from agent.core.class_model import TrainingClass
from agent.web.site import PageVisit


def list_witnessed(v: PageVisit, cls: TrainingClass) -> dict[str, str]:
    """Return who countersigned and when, by the head of the half-day."""
    zone, found = v.site.catalog.zone, {}
    for signed in v.site.catalog.witnesses.of_class(cls.class_id):
        text = signed.parse()
        found[signed.head] = f"{text.time.astimezone(zone):%Y-%m-%d %H:%M} {text.witness}"
    return found
