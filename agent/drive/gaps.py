"""The gap ledger of a class, asked of the catalog."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from agent import ledger
from agent.catalog import Catalog
from agent.clock import parse, rfc3339
from agent.model import Gap, Session, TrainingClass
from agent.schedule import Placement, planned

# a camera or drive that failed before the class began still explains what is missing in it
_BEFORE = timedelta(days=7)
# four times as often does a running agent write its sign of life (agent.life)
_ALIVE = timedelta(seconds=20)


def of_class(
    catalog: Catalog,
    classes: Iterable[TrainingClass],
    class_id: str,
    now: datetime,
    day: date | None = None,
    session: Session | None = None,
) -> list[Gap]:
    """Gaps of a class (or of one of its days or half-days) up to `now`, by camera and time. Planned time still to come is
    no gap; the segment under way counts as recorded."""
    return of_plan(catalog, _chosen(planned(classes, class_id), day, session), class_id, now)


def of_plan(catalog: Catalog, plan: Iterable[Placement], class_id: str, now: datetime) -> list[Gap]:
    """The same for stretches of planned time that the caller has at hand."""
    places = list(plan)
    if not places:
        return []
    first, last = min(p.start for p in places), max(p.end for p in places)
    days = {p.date for p in places}
    segments = catalog.segments.of_class(class_id, days.pop() if len(days) == 1 else None)
    segments += [s for s in catalog.segments.opened() if s.class_id == class_id]
    events = catalog.events.between(first - _BEFORE, last + timedelta(days=1))
    return ledger.gaps(places, segments, events, now=now, down_since=_down_since(catalog, now))


def _down_since(catalog: Catalog, now: datetime) -> datetime | None:
    """When the agent was last alive, if it is not now (asked by a command, or before its first sign of life)."""
    stopped = catalog.facts.get("stopped")
    if stopped is not None:
        return parse(stopped) if parse(stopped) < now else None
    alive = catalog.facts.get("alive")
    if alive is None or now - parse(alive) <= _ALIVE:
        return None
    return parse(alive)


def as_object(gap: Gap, zone: ZoneInfo) -> dict[str, Any]:
    """The contract's gap object."""
    return {
        "camera_id": gap.camera_id, "date": gap.date.isoformat(), "session": gap.session.value,
        "start": rfc3339(gap.start, zone), "end": rfc3339(gap.end, zone), "seconds": round(gap.seconds, 3),
        "reason": gap.reason, "event": gap.event,
    }  # fmt: skip


def _chosen(plan: Iterable[Placement], day: date | None, session: Session | None) -> list[Placement]:
    return [p for p in plan if (day is None or p.date == day) and (session is None or p.session == session)]
