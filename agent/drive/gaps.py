"""The gap ledger of a class, asked of the catalog."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from agent import ledger, missing
from agent.catalog import Catalog
from agent.clock import parse, rfc3339
from agent.model import Gap, Session, TrainingClass
from agent.schedule import Placement, planned

if TYPE_CHECKING:
    from agent.contract.recordings import GapBody

# a camera or drive that failed before the class began still explains what is missing in it
_BEFORE = timedelta(days=7)
# four times as often does a running agent write its sign of life (agent.life)
_ALIVE = timedelta(seconds=20)


@dataclass(frozen=True, slots=True)
class Book:
    """`gaps` by camera and time; `rooms` the time without any video by half-day and room."""

    gaps: list[Gap]
    rooms: list[missing.RoomTime]

    def total(self, day: date | None = None, session: Session | None = None) -> missing.Total:
        """What has no video of all of it, or of one of its days or half-days."""
        return missing.total(self.rooms, day, session)


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
    return book(catalog, classes, class_id, now, day, session).gaps


def book(
    catalog: Catalog,
    classes: Iterable[TrainingClass],
    class_id: str,
    now: datetime,
    day: date | None = None,
    session: Session | None = None,
) -> Book:
    """As `of_class`, and beside the gaps what each room lacks."""
    known = list(classes)
    plan = _chosen(planned(known, class_id), day, session)
    found = of_plan(catalog, plan, class_id, now)
    lessons = [x for c in known if c.class_id == class_id for x in c.lessons]
    return Book(found, missing.rooms(plan, found, lessons, now))


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


def as_object(gap: Gap, zone: ZoneInfo) -> GapBody:
    """The contract's gap object."""
    return {
        "camera_id": gap.camera_id, "date": gap.date.isoformat(), "session": gap.session.value,
        "start": rfc3339(gap.start, zone), "end": rfc3339(gap.end, zone), "seconds": round(gap.seconds, 3),
        "reason": gap.reason, "event": gap.event, "room_id": gap.room_id,
    }  # fmt: skip


def length(seconds: float, say: Callable[..., str]) -> str:
    """A length of time as papers and pages give it; what is short is never told as nothing."""
    if seconds <= 0:
        return "0"
    if seconds < 1:
        return say("papers.under_a_second")
    if seconds < 59.5:
        return say("papers.seconds", n=round(seconds))
    return say("papers.minutes", n=f"{seconds / 60:.1f}".removesuffix(".0"))


def clocks(gap: Gap, zone: ZoneInfo) -> tuple[str, str]:
    """Start and end as HH:MM:SS of local time, with tenths where the seconds alone would show no time at all."""
    start, end = gap.start.astimezone(zone), gap.end.astimezone(zone)
    found = f"{start:%H:%M:%S}", f"{end:%H:%M:%S}"
    if found[0] != found[1]:
        return found
    return f"{found[0]}.{start.microsecond // 100_000}", f"{found[1]}.{-(-end.microsecond // 100_000)}"


def rooms_said(total: missing.Total, cls: TrainingClass, say: Callable[..., str]) -> str:
    """The time in which a room had no video at all; by room where the class has several.

    Where nothing had to be recorded yet, or no room has a camera, nothing is known to be whole either."""
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
    """The lessons' share where some of the time lies in breaks."""
    if seconds - taught < 1:
        return length(seconds, say)
    return say("papers.of_lessons", length=length(seconds, say), lessons=length(taught, say))


def none_said(total: missing.Total, say: Callable[..., str]) -> str:
    """What stands where there is no gap."""
    return say("papers.no_gaps" if total.rooms else "papers.nothing_due")


def cameras_said(total: missing.Total, say: Callable[..., str]) -> str:
    """Each camera's own missing time; "" where none misses any."""
    return say("papers.and").join(f"{camera} {length(s, say)}" for _, camera, s in total.cameras)


def _chosen(plan: Iterable[Placement], day: date | None, session: Session | None) -> list[Placement]:
    return [p for p in plan if (day is None or p.date == day) and (session is None or p.session == session)]
