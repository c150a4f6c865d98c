"""The gap ledger of a class, read from the catalog, and its wording in documents and pages."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from agent.catalog import Catalog
from agent.core import gap_ledger, room_gaps
from agent.core.class_model import TrainingClass
from agent.core.clock import format_local, parse_time
from agent.core.model import Gap, Session
from agent.core.schedule import Placement, list_planned_time

if TYPE_CHECKING:
    from agent.contract.recordings import GapBody

# a camera or drive that failed before the class began still explains what is missing in it
_BEFORE = timedelta(days=7)
# a running agent writes its sign of life four times as often (agent.service.run_history)
_ALIVE = timedelta(seconds=20)


@dataclass(frozen=True, slots=True)
class GapBook:
    """The gaps of a class. `gaps` by camera and time; `rooms` the time without any video by half-day and room."""

    gaps: list[Gap]
    rooms: list[room_gaps.RoomTime]

    def total(self, day: date | None = None, session: Session | None = None) -> room_gaps.RoomGapTotal:
        """Return the time without video in total, or of one day or half-day."""
        return room_gaps.sum_room_gaps(self.rooms, day, session)


def find_class_gaps(
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
    return load_gap_book(catalog, classes, class_id, now, day, session).gaps


def load_gap_book(
    catalog: Catalog,
    classes: Iterable[TrainingClass],
    class_id: str,
    now: datetime,
    day: date | None = None,
    session: Session | None = None,
) -> GapBook:
    """Return the gaps as `of_class` does, and the time without video of each room."""
    known = list(classes)
    plan = _select_placements(list_planned_time(known, class_id), day, session)
    found = find_plan_gaps(catalog, plan, class_id, now)
    lessons = [x for c in known if c.class_id == class_id for x in c.lessons]
    return GapBook(found, room_gaps.find_room_gaps(plan, found, lessons, now))


def find_plan_gaps(catalog: Catalog, plan: Iterable[Placement], class_id: str, now: datetime) -> list[Gap]:
    """Return the gaps in planned time that the caller has at hand."""
    places = list(plan)
    if not places:
        return []
    first, last = min(p.start for p in places), max(p.end for p in places)
    days = {p.date for p in places}
    segments = catalog.segments.of_class(class_id, days.pop() if len(days) == 1 else None)
    segments += [s for s in catalog.segments.opened() if s.class_id == class_id]
    events = catalog.events.between(first - _BEFORE, last + timedelta(days=1))
    return gap_ledger.find_gaps(places, segments, events, now=now, down_since=_find_down_since(catalog, now))


def _find_down_since(catalog: Catalog, now: datetime) -> datetime | None:
    """Return when the agent was last alive, if it is not now.

    This matters where a command asks, or the agent itself before its first sign of life.
    """
    stopped = catalog.facts.get("stopped")
    if stopped is not None:
        return parse_time(stopped) if parse_time(stopped) < now else None
    alive = catalog.facts.get("alive")
    if alive is None or now - parse_time(alive) <= _ALIVE:
        return None
    return parse_time(alive)


def build_gap_object(gap: Gap, zone: ZoneInfo) -> GapBody:
    """Return the contract's gap object."""
    return {
        "camera_id": gap.camera_id,
        "date": gap.date.isoformat(),
        "session": gap.session.value,
        "start": format_local(gap.start, zone),
        "end": format_local(gap.end, zone),
        "seconds": round(gap.seconds, 3),
        "reason": gap.reason,
        "event": gap.event,
        "room_id": gap.room_id,
    }


def format_duration(seconds: float, say: Callable[..., str]) -> str:
    """Return a duration in words for documents and pages; a short one is never shown as nothing."""
    if seconds <= 0:
        return "0"
    if seconds < 1:
        return say("papers.under_a_second")
    if seconds < 59.5:
        return say("papers.seconds", n=round(seconds))
    return say("papers.minutes", n=f"{seconds / 60:.1f}".removesuffix(".0"))


def format_gap_times(gap: Gap, zone: ZoneInfo) -> tuple[str, str]:
    """Return start and end as HH:MM:SS of local time, with tenths where the seconds alone would be equal."""
    start, end = gap.start.astimezone(zone), gap.end.astimezone(zone)
    found = f"{start:%H:%M:%S}", f"{end:%H:%M:%S}"
    if found[0] != found[1]:
        return found
    return f"{found[0]}.{start.microsecond // 100_000}", f"{found[1]}.{-(-end.microsecond // 100_000)}"


def describe_room_gaps(total: room_gaps.RoomGapTotal, cls: TrainingClass, say: Callable[..., str]) -> str:
    """Return in words the time in which a room had no video at all; by room where the class has several.

    Where nothing had to be recorded yet, or no room has a camera, "no gaps" would be wrong.
    """
    if not total.rooms:
        return say("papers.nothing_due")
    if not total.seconds:
        return say("papers.no_time")
    names = {room.room_id: room.name or room.room_id for room in cls.rooms}
    if len(total.rooms) < 2:
        return _describe_with_lessons(total.seconds, total.lesson_seconds, say)
    return say("papers.and").join(
        f"{names.get(room, room)} {_describe_with_lessons(s, taught, say)}" for room, s, taught in total.rooms
    )


def _describe_with_lessons(seconds: float, taught: float, say: Callable[..., str]) -> str:
    """Return the duration, with the share of lessons where some of it lies in breaks."""
    if seconds - taught < 1:
        return format_duration(seconds, say)
    return say("papers.of_lessons", length=format_duration(seconds, say), lessons=format_duration(taught, say))


def describe_no_gaps(total: room_gaps.RoomGapTotal, say: Callable[..., str]) -> str:
    """Return the text that stands where there is no gap."""
    return say("papers.no_gaps" if total.rooms else "papers.nothing_due")


def describe_camera_gaps(total: room_gaps.RoomGapTotal, say: Callable[..., str]) -> str:
    """Return each camera's own missing time in words; "" where none has any."""
    return say("papers.and").join(f"{camera} {format_duration(s, say)}" for _, camera, s in total.cameras)


def _select_placements(plan: Iterable[Placement], day: date | None, session: Session | None) -> list[Placement]:
    return [p for p in plan if (day is None or p.date == day) and (session is None or p.session == session)]
