"""The gap ledger of a class, read from the catalog, and its wording in documents and pages."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from agent import ledger, missing
from agent.catalog import Catalog
from agent.clock import parse, rfc3339
from agent.model import Gap, Session
from agent.model_classes import TrainingClass
from agent.schedule import Placement, planned

if TYPE_CHECKING:
    from agent.contract.recordings import GapBody

# a camera or drive that failed before the class began still explains what is missing in it
_BEFORE = timedelta(days=7)
# a running agent writes its sign of life four times as often (agent.life)
_ALIVE = timedelta(seconds=20)


@dataclass(frozen=True, slots=True)
class Book:
    """The gaps of a class. `gaps` by camera and time; `rooms` the time without any video by half-day and room."""

    gaps: list[Gap]
    rooms: list[missing.RoomTime]

    def total(self, day: date | None = None, session: Session | None = None) -> missing.Total:
        """Return the time without video in total, or of one day or half-day."""
        return missing.total(self.rooms, day, session)


def of_class(
    catalog: Catalog,
    classes: Iterable[TrainingClass],
    class_id: str,
    now: datetime,
    day: date | None = None,
    session: Session | None = None,
) -> list[Gap]:
    """Return the gaps of a class (or of one day or half-day) up to `now`, by camera and time.

    Planned time still to come is no gap; the segment being written counts as recorded.
    """
    return book(catalog, classes, class_id, now, day, session).gaps


def book(
    catalog: Catalog,
    classes: Iterable[TrainingClass],
    class_id: str,
    now: datetime,
    day: date | None = None,
    session: Session | None = None,
) -> Book:
    """Return the gaps as `of_class` does, and the time without video of each room."""
    known = list(classes)
    plan = _chosen(planned(known, class_id), day, session)
    found = of_plan(catalog, plan, class_id, now)
    lessons = [x for c in known if c.class_id == class_id for x in c.lessons]
    return Book(found, missing.rooms(plan, found, lessons, now))


def of_plan(catalog: Catalog, plan: Iterable[Placement], class_id: str, now: datetime) -> list[Gap]:
    """Return the gaps in planned time that the caller has at hand."""
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
    """Return when the agent was last alive, if it is not now.

    This matters where a command asks, or the agent itself before its first sign of life.
    """
    stopped = catalog.facts.get("stopped")
    if stopped is not None:
        return parse(stopped) if parse(stopped) < now else None
    alive = catalog.facts.get("alive")
    if alive is None or now - parse(alive) <= _ALIVE:
        return None
    return parse(alive)


def as_object(gap: Gap, zone: ZoneInfo) -> GapBody:
    """Return the contract's gap object."""
    return {
        "camera_id": gap.camera_id,
        "date": gap.date.isoformat(),
        "session": gap.session.value,
        "start": rfc3339(gap.start, zone),
        "end": rfc3339(gap.end, zone),
        "seconds": round(gap.seconds, 3),
        "reason": gap.reason,
        "event": gap.event,
        "room_id": gap.room_id,
    }


def length(seconds: float, say: Callable[..., str]) -> str:
    """Return a duration in words for documents and pages; a short one is never shown as nothing."""
    if seconds <= 0:
        return "0"
    if seconds < 1:
        return say("papers.under_a_second")
    if seconds < 59.5:
        return say("papers.seconds", n=round(seconds))
    return say("papers.minutes", n=f"{seconds / 60:.1f}".removesuffix(".0"))


def clocks(gap: Gap, zone: ZoneInfo) -> tuple[str, str]:
    """Return start and end as HH:MM:SS of local time, with tenths where the seconds alone would be equal."""
    start, end = gap.start.astimezone(zone), gap.end.astimezone(zone)
    found = f"{start:%H:%M:%S}", f"{end:%H:%M:%S}"
    if found[0] != found[1]:
        return found
    return f"{found[0]}.{start.microsecond // 100_000}", f"{found[1]}.{-(-end.microsecond // 100_000)}"


def rooms_said(total: missing.Total, cls: TrainingClass, say: Callable[..., str]) -> str:
    """Return in words the time in which a room had no video at all; by room where the class has several.

    Where nothing had to be recorded yet, or no room has a camera, "no gaps" would be wrong.
    """
    if not total.rooms:
        return say("papers.nothing_due")
    if not total.seconds:
        return say("papers.no_time")
    names = {room.room_id: room.name or room.room_id for room in cls.rooms}
    if len(total.rooms) < 2:
        return _with_lessons(total.seconds, total.lesson_seconds, say)
    return say("papers.and").join(
        f"{names.get(room, room)} {_with_lessons(s, taught, say)}" for room, s, taught in total.rooms
    )


def _with_lessons(seconds: float, taught: float, say: Callable[..., str]) -> str:
    """Return the duration, with the share of lessons where some of it lies in breaks."""
    if seconds - taught < 1:
        return length(seconds, say)
    return say("papers.of_lessons", length=length(seconds, say), lessons=length(taught, say))


def none_said(total: missing.Total, say: Callable[..., str]) -> str:
    """Return the text that stands where there is no gap."""
    return say("papers.no_gaps" if total.rooms else "papers.nothing_due")


def cameras_said(total: missing.Total, say: Callable[..., str]) -> str:
    """Return each camera's own missing time in words; "" where none has any."""
    return say("papers.and").join(f"{camera} {length(s, say)}" for _, camera, s in total.cameras)


def _chosen(plan: Iterable[Placement], day: date | None, session: Session | None) -> list[Placement]:
    return [p for p in plan if (day is None or p.date == day) and (session is None or p.session == session)]
