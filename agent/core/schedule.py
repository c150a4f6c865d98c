"""Which class a camera records for, and what time was planned: pure functions over classes.

Recording runs from MARGIN before the first lesson of a half-day in the camera's room to MARGIN after its last, breaks
included. Where a room serves several classes, the lesson decides; where only margins overlap, they meet in the
middle.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta

from agent.core.class_model import Lesson, TrainingClass
from agent.core.model import Session

RECORDING_MARGIN = timedelta(minutes=15)
_FAR = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Placement:
    """Time of one camera for one half-day of a class, from `start` to `end`: planned time, or time to record.

    `lessons` are given by `spans` only: the lessons of the half-day in the camera's room.
    """

    class_id: str
    date: date
    session: Session
    room_id: str
    camera_id: str
    start: datetime
    end: datetime
    lessons: tuple[Lesson, ...] = ()


def list_planned_spans(cls: TrainingClass) -> list[Placement]:
    """Return the planned time of a class: one placement a half-day, room and camera, in order of time."""
    found: list[Placement] = []
    held: dict[tuple[date, Session], list[Lesson]] = {}
    for lesson in sorted(cls.lessons, key=lambda x: x.start):
        if not lesson.cancelled:
            held.setdefault((lesson.date, lesson.session), []).append(lesson)
    for day, session in cls.half_days():
        lessons = held[day, session]
        for room in cls.rooms:
            mine = tuple(x for x in lessons if x.room_id == room.room_id)
            if not mine:
                continue
            start, end = min(x.start for x in mine), max(x.end for x in mine)
            found += [Placement(cls.class_id, day, session, room.room_id, c, start, end, mine) for c in room.cameras]
    return found


def list_placements(classes: Iterable[TrainingClass], camera_id: str) -> list[Placement]:
    """Return the stretches in which a camera records, without overlap, in order of time."""
    rows = [(x, s) for c in classes for s in list_planned_spans(c) if s.camera_id == camera_id for x in s.lessons]
    rows.sort(key=lambda row: (row[0].start, row[0].end))
    found: list[Placement] = []
    for i, (lesson, span) in enumerate(rows):
        start, end = lesson.start - RECORDING_MARGIN, lesson.end + RECORDING_MARGIN
        if i > 0:
            start = max(start, _find_border(rows[i - 1], rows[i]))
        if i + 1 < len(rows):
            end = (
                min(end, _find_border(rows[i], rows[i + 1]))
                if _get_key(rows[i + 1][1]) != _get_key(span)
                else rows[i + 1][0].start
            )
        last = found[-1] if found else None
        if last and _get_key(last) == _get_key(span) and last.end >= start:
            found[-1] = replace(last, end=max(last.end, end))
        elif end > start:
            found.append(Placement(span.class_id, span.date, span.session, span.room_id, camera_id, start, end))
    return found


def _get_key(item: Placement) -> tuple[str, date, Session, str]:
    return item.class_id, item.date, item.session, item.room_id


def _find_border(one: tuple[Lesson, Placement], two: tuple[Lesson, Placement]) -> datetime:
    """Return where the recording of one lesson's class ends and the next begins: lessons first, margins meet half-way."""
    end, start = one[0].end, two[0].start
    return start if end >= start or _get_key(one[1]) == _get_key(two[1]) else end + (start - end) / 2


def list_planned_time(classes: Iterable[TrainingClass], class_id: str) -> list[Placement]:
    """Return the planned time of a class for the gap ledger.

    It is the planned spans minus time in which a camera was assigned to another class.
    """
    everything = list(classes)
    mine = [s for c in everything if c.class_id == class_id for s in list_planned_spans(c)]
    if not mine:
        return []
    near = _select_near(everything, min(s.start for s in mine), max(s.end for s in mine))
    places: dict[tuple[object, ...], list[Placement]] = {}
    for camera in {s.camera_id for s in mine}:
        for place in list_placements(near, camera):
            places.setdefault((camera, *_get_key(place)), []).append(place)
    found = []
    for span in mine:
        for place in places.get((span.camera_id, *_get_key(span)), []):
            start, end = max(place.start, span.start), min(place.end, span.end)
            if end > start:
                found.append(replace(place, start=start, end=end))
    return found


def find_placement(classes: Iterable[TrainingClass], camera_id: str, moment: datetime) -> Placement | None:
    """Return what a camera records for at `moment`; None outside the plan."""
    near = _select_near(classes, moment, moment)
    return next((p for p in list_placements(near, camera_id) if p.start <= moment < p.end), None)


def list_current(classes: Iterable[TrainingClass], moment: datetime) -> list[Placement]:
    """Return what all cameras record for at `moment`, in order of class, room and camera."""
    near = _select_near(classes, moment, moment)
    cameras = {camera for cls in near for room in cls.rooms for camera in room.cameras}
    found = [p for c in cameras if (p := find_placement(near, c, moment))]
    return sorted(found, key=lambda p: (p.class_id, p.date, p.session.order, p.room_id, p.camera_id))


def find_next_start(classes: Iterable[TrainingClass], camera_id: str, moment: datetime) -> datetime | None:
    """Return the next instant after `moment` at which a camera begins to record."""
    ahead = [c for c in classes if any(x.end > moment for x in c.lessons)]
    return min((p.start for p in list_placements(ahead, camera_id) if p.start > moment), default=None)


def _select_near(classes: Iterable[TrainingClass], start: datetime, end: datetime) -> list[TrainingClass]:
    """Return the classes with a lesson within a day of [start, end].

    Only they can affect a camera's placements there: a box with five years of classes asks every second.
    """
    first, last = start - _FAR, end + _FAR
    return [c for c in classes if any(x.start <= last and x.end >= first for x in c.lessons)]
