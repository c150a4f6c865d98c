"""Room gaps: planned time in which no camera of a room has video; beside it each camera's own missing time.

Pure interval arithmetic over the plan and the gap ledger. Times of cameras, or of rooms with lessons at the same
hour, are never added: two cameras that fail together for 30 minutes are 30 minutes without video.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime
from typing import TYPE_CHECKING

from agent.intervals import Span, common, length, union, without
from agent.ledger import FRAME
from agent.model import Gap, Session
from agent.model_classes import Lesson
from agent.schedule import Placement

if TYPE_CHECKING:
    from agent.contract.recordings import MissingBody


@dataclass(frozen=True, slots=True)
class RoomTime:
    """One room in one half-day. All intervals are in order and without overlap.

    `planned` is its planned time so far, `missing` the part of it in which no camera of the room has video, `lessons`
    the part of that in lessons (not in breaks), `cameras` each camera's own missing time.
    """

    date: date
    session: Session
    room_id: str
    planned: tuple[Span, ...]
    missing: tuple[Span, ...]
    lessons: tuple[Span, ...]
    cameras: tuple[tuple[str, tuple[Span, ...]], ...]


@dataclass(frozen=True, slots=True)
class Total:
    """Seconds without video.

    `seconds`: the time in which at least one room with planned time had no camera with video, each instant counted
    once; `lesson_seconds`: the part of it in lessons. `rooms`: (room, seconds, lesson seconds) of each room.
    `cameras`: (room, camera, seconds); cameras without missing time are left out.
    """

    seconds: float
    lesson_seconds: float
    rooms: tuple[tuple[str, float, float], ...]
    cameras: tuple[tuple[str, str, float], ...]

    def as_object(self) -> MissingBody:
        """Return the total for JSON."""
        return {
            "seconds": round(self.seconds, 3),
            "lesson_seconds": round(self.lesson_seconds, 3),
            "rooms": [
                {"room_id": room, "seconds": round(s, 3), "lesson_seconds": round(of_lessons, 3)}
                for room, s, of_lessons in self.rooms
            ],
            "cameras": [
                {"camera_id": camera, "room_id": room, "seconds": round(s, 3)} for room, camera, s in self.cameras
            ],
        }


def rooms(
    planned: Iterable[Placement], gaps: Iterable[Gap], lessons: Iterable[Lesson], now: datetime
) -> list[RoomTime]:
    """Return room times by half-day and room.

    `planned` is `schedule.planned` of a class, `gaps` its ledger up to `now`, `lessons` its own.
    """
    held: dict[tuple[date, Session, str], list[Span]] = {}
    for x in lessons:
        if not x.cancelled:
            held.setdefault((x.date, x.session, x.room_id), []).append((x.start, x.end))
    places: dict[tuple[date, Session, str], dict[str, list[Span]]] = {}
    for p in planned:
        if p.start < now:
            cameras = places.setdefault((p.date, p.session, p.room_id), {})
            cameras.setdefault(p.camera_id, []).append((p.start, min(p.end, now)))
    holes: dict[tuple[date, Session, str, str], list[Span]] = {}
    for g in gaps:
        holes.setdefault((g.date, g.session, g.room_id, g.camera_id), []).append((g.start, g.end))
    found = []
    for key in sorted(places, key=lambda k: (k[0], k[1].order, k[2])):
        missing = {camera: union(holes.get((*key, camera), ())) for camera in sorted(places[key])}
        plan = union(s for stretches in places[key].values() for s in stretches)
        filmed = union(s for camera, own in places[key].items() for s in without(union(own), missing[camera]))
        none = tuple(s for s in without(plan, filmed) if s[1] - s[0] >= FRAME)
        taught = tuple(common(none, union(held.get(key, ()))))
        found.append(RoomTime(*key, tuple(plan), none, taught, tuple((c, tuple(m)) for c, m in missing.items() if m)))
    return found


def total(found: Iterable[RoomTime], day: date | None = None, session: Session | None = None) -> Total:
    """Return the total of these rooms, or of one of their days or half-days."""
    mine = [x for x in found if (day is None or x.date == day) and (session is None or x.session == session)]
    by_room: dict[str, tuple[list[Span], list[Span]]] = {}
    by_camera: dict[tuple[str, str], list[Span]] = {}
    for x in mine:
        whole, taught = by_room.setdefault(x.room_id, ([], []))
        whole.extend(x.missing)
        taught.extend(x.lessons)
        for camera, stretches in x.cameras:
            by_camera.setdefault((x.room_id, camera), []).extend(stretches)
    return Total(
        length(union(s for x in mine for s in x.missing)),
        length(union(s for x in mine for s in x.lessons)),
        tuple((room, length(union(all_)), length(union(taught))) for room, (all_, taught) in sorted(by_room.items())),
        tuple((room, camera, length(union(by_camera[room, camera]))) for room, camera in sorted(by_camera)),
    )
