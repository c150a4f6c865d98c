"""Room gaps: planned time in which no camera of a room has video; beside it each camera's own missing time.

Pure interval arithmetic over the plan and the gap ledger. Times of cameras, or of rooms with lessons at the same
hour, are never added: two cameras that fail together for 30 minutes are 30 minutes without video.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime
from typing import TYPE_CHECKING

from agent.core.class_model import Lesson
from agent.core.gap_ledger import FRAME
from agent.core.intervals import Interval, intersect_intervals, merge_intervals, subtract_intervals, sum_seconds
from agent.core.model import Gap, Session
from agent.core.schedule import Placement

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
    planned: tuple[Interval, ...]
    missing: tuple[Interval, ...]
    lessons: tuple[Interval, ...]
    cameras: tuple[tuple[str, tuple[Interval, ...]], ...]


@dataclass(frozen=True, slots=True)
class RoomGapTotal:
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


def find_room_gaps(
    planned: Iterable[Placement], gaps: Iterable[Gap], lessons: Iterable[Lesson], now: datetime
) -> list[RoomTime]:
    """Return room times by half-day and room.

    `planned` is `schedule.planned` of a class, `gaps` its ledger up to `now`, `lessons` its own.
    """
    held: dict[tuple[date, Session, str], list[Interval]] = {}
    for x in lessons:
        if not x.cancelled:
            held.setdefault((x.date, x.session, x.room_id), []).append((x.start, x.end))
    places: dict[tuple[date, Session, str], dict[str, list[Interval]]] = {}
    for p in planned:
        if p.start < now:
            cameras = places.setdefault((p.date, p.session, p.room_id), {})
            cameras.setdefault(p.camera_id, []).append((p.start, min(p.end, now)))
    holes: dict[tuple[date, Session, str, str], list[Interval]] = {}
    for g in gaps:
        holes.setdefault((g.date, g.session, g.room_id, g.camera_id), []).append((g.start, g.end))
    found = []
    for key in sorted(places, key=lambda k: (k[0], k[1].order, k[2])):
        missing = {camera: merge_intervals(holes.get((*key, camera), ())) for camera in sorted(places[key])}
        plan = merge_intervals(s for stretches in places[key].values() for s in stretches)
        filmed = merge_intervals(
            s for camera, own in places[key].items() for s in subtract_intervals(merge_intervals(own), missing[camera])
        )
        none = tuple(s for s in subtract_intervals(plan, filmed) if s[1] - s[0] >= FRAME)
        taught = tuple(intersect_intervals(none, merge_intervals(held.get(key, ()))))
        found.append(RoomTime(*key, tuple(plan), none, taught, tuple((c, tuple(m)) for c, m in missing.items() if m)))
    return found


def sum_room_gaps(found: Iterable[RoomTime], day: date | None = None, session: Session | None = None) -> RoomGapTotal:
    """Return the total of these rooms, or of one of their days or half-days."""
    mine = [x for x in found if (day is None or x.date == day) and (session is None or x.session == session)]
    by_room: dict[str, tuple[list[Interval], list[Interval]]] = {}
    by_camera: dict[tuple[str, str], list[Interval]] = {}
    for x in mine:
        whole, taught = by_room.setdefault(x.room_id, ([], []))
        whole.extend(x.missing)
        taught.extend(x.lessons)
        for camera, stretches in x.cameras:
            by_camera.setdefault((x.room_id, camera), []).extend(stretches)
    return RoomGapTotal(
        sum_seconds(merge_intervals(s for x in mine for s in x.missing)),
        sum_seconds(merge_intervals(s for x in mine for s in x.lessons)),
        tuple(
            (room, sum_seconds(merge_intervals(all_)), sum_seconds(merge_intervals(taught)))
            for room, (all_, taught) in sorted(by_room.items())
        ),
        tuple(
            (room, camera, sum_seconds(merge_intervals(by_camera[room, camera]))) for room, camera in sorted(by_camera)
        ),
    )
