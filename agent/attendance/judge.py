"""The judgement of a half-day, pure: a class, its looks, a moment -> figures as the contract defines them.

Lesson time is cut where any lesson begins or ends, so that inside a piece the same rooms are in use, and each piece into
five-minute blocks from its beginning. A block's figure is the sum over the rooms in use at once of (estimate - staff in
the room), and it is known only where every one of those rooms can be judged. Rooms used one after another are never
added: each of their blocks is a figure of the whole class. Breaks lie in no block. The half-day's figures are medians
over its judged blocks, weighted by their seconds.

Rooms without a camera are not this box's. Where one of them is in use beside ours, the figures cover our rooms alone and
`absent` and `ratio`, which need the whole class, stay unknown.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING, Literal

from agent.attendance.estimate import median_up, room_estimate
from agent.model import Lesson, Look, Session, TrainingClass

if TYPE_CHECKING:
    from agent.contract.attendance import AttendanceBody, CountsBody

Status = Literal["provisional", "final", "revised", "unjudged"]


@dataclass(frozen=True, slots=True)
class Rules:
    """What the judgement goes by. `reach_s` is the time that one look speaks for: not less than the counting interval."""

    block_s: float = 300.0
    edge_s: float = 900.0
    reach_s: float = 60.0
    block_share: float = 0.5
    """A block is judged where looks speak for at least this part of it."""
    answer_share: float = 0.5
    """A figure is given where at least this part of its lesson time was judged."""
    begun_ratio: float = 0.5
    """A half-day has begun once this part of the expected is there."""
    left_ratio: float = 0.2
    """Below this part of the expected the class is taken to have left."""
    over_ratio: float = 1.1
    late_s: float = 900.0
    early_s: float = 900.0
    empty_s: float = 900.0
    interrupted_s: float = 900.0
    over_s: float = 600.0

    @staticmethod
    def for_looks_every(seconds: float) -> Rules:
        """The rules for a counting interval: a look speaks for a minute, or for two intervals where those are longer."""
        return Rules(reach_s=max(60.0, 2 * seconds))


@dataclass(frozen=True, slots=True)
class Block:
    """At most five minutes of lesson time; `present` (trainees), `low` and `high` are None where it cannot be judged."""

    start: datetime
    end: datetime
    present: int | None = None
    low: int | None = None
    high: int | None = None

    @property
    def seconds(self) -> float:
        return (self.end - self.start).total_seconds()


@dataclass(frozen=True, slots=True)
class Figures:
    """Counts are None where they cannot be judged."""

    present: int | None
    low: int | None
    high: int | None
    at_start: int | None
    at_end: int | None
    lesson_s: float
    judged_s: float


@dataclass(frozen=True, slots=True)
class LessonFigures:
    lesson: Lesson
    figures: Figures


@dataclass(frozen=True, slots=True)
class RoomFigures:
    """`base` is the headcount the room is held against; None where other rooms are in use at the same time."""

    room_id: str
    base: int | None
    figures: Figures


@dataclass(frozen=True, slots=True)
class HalfDay:
    """`curve` holds the blocks in order of time (the arrival curve); `base` as in RoomFigures, for the half-day."""

    class_id: str
    date: date
    session: Session
    expected: int
    base: int | None
    over: bool
    figures: Figures
    rooms: tuple[RoomFigures, ...]
    lessons: tuple[LessonFigures, ...]
    curve: tuple[Block, ...]


def judge(
    cls: TrainingClass, day: date, session: Session, looks: Sequence[Look], now: datetime, rules: Rules
) -> HalfDay:
    """The half-day as far as it has run at `now`; lesson time that lies ahead is left out of every figure."""
    looks = sorted(looks, key=_instant)
    everything = cls.lessons_of(day, session)
    lessons = [x for x in everything if cls.room(x.room_id).cameras]
    expected = cls.expected_on(day, session)
    alone = {x.room_id: not _beside(x.room_id, everything) for x in lessons}
    here = {x.room_id for x in lessons}
    shared = any(_overlap(x, other) for x in lessons for other in everything if other.room_id not in here)

    def of(some: Collection[Lesson]) -> tuple[Figures, list[Block]]:
        return _figures(cls, sorted(some, key=lambda x: x.start), looks, now, rules)

    figures, curve = of(lessons)
    rooms = []
    for room in cls.rooms:
        mine = [x for x in lessons if x.room_id == room.room_id]
        if mine:
            rooms.append(RoomFigures(room.room_id, expected if alone[room.room_id] else None, of(mine)[0]))
    return HalfDay(
        cls.class_id, day, session, expected, None if shared else expected,
        over=all(x.end <= now for x in lessons), figures=figures, rooms=tuple(rooms),
        lessons=tuple(LessonFigures(x, of([x])[0]) for x in lessons), curve=tuple(curve),
    )  # fmt: skip


def as_object(half: HalfDay, status: Status, revision: int) -> AttendanceBody:
    """The contract's attendance object."""
    return {
        "class_id": half.class_id, "date": half.date.isoformat(), "session": half.session.value,
        "expected": half.expected, **_against(half.figures, half.base), "status": status, "revision": revision,
        "rooms": [
            {"room_id": room.room_id, "expected": room.base, **_against(room.figures, room.base)} for room in half.rooms
        ],
    }  # fmt: skip


def _against(figures: Figures, base: int | None) -> CountsBody:
    present, absent, ratio = figures.present, None, None
    if present is not None and base is not None:
        absent, ratio = max(0, base - present), round(present / base, 4)
    return {
        "present": present, "absent": absent, "low": figures.low,
        "high": figures.high, "ratio": ratio, "at_start": figures.at_start,
        "at_end": figures.at_end, "lesson_s": round(figures.lesson_s), "judged_s": round(figures.judged_s),
    }  # fmt: skip


def block_of(
    cls: TrainingClass, lessons: Sequence[Lesson], looks: Sequence[Look], start: datetime, end: datetime, rules: Rules
) -> Block:
    """One stretch in which exactly `lessons` are under way: trainees in all their rooms together. Looks in order of time."""
    looks = looks[bisect_left(looks, start, key=_instant) : bisect_left(looks, end, key=_instant)]
    present = low = high = 0
    for lesson in lessons:
        room = cls.room(lesson.room_id)
        seen = room_estimate(room, looks, start, end, reach_s=rules.reach_s, share=rules.block_share)
        if seen is None:
            return Block(start, end)
        present += max(0, seen.people - lesson.staff_in_room)
        low += max(0, seen.low - lesson.staff_in_room)
        high += seen.high  # as if no staff were in view
    return Block(start, end, present, low, high)


def _instant(look: Look) -> datetime:
    return look.at


def pieces(lessons: Sequence[Lesson]) -> list[tuple[datetime, datetime, list[Lesson]]]:
    """Lesson time cut where any lesson begins or ends: (start, end, lessons under way), without breaks."""
    edges = sorted({x.start for x in lessons} | {x.end for x in lessons})
    found = []
    for start, end in pairwise(edges):
        running = [x for x in lessons if x.start <= start and x.end >= end]
        if running:
            found.append((start, end, running))
    return found


def _figures(
    cls: TrainingClass, lessons: list[Lesson], looks: Sequence[Look], now: datetime, rules: Rules
) -> tuple[Figures, list[Block]]:
    time = [(a, min(b, now), running) for a, b, running in pieces(lessons) if a < now]
    curve = _blocks(cls, time, looks, rules)
    over = all(x.end <= now for x in lessons)
    total = _seconds(pieces(lessons))
    at_start = _blocks(cls, _first(time, rules.edge_s), looks, rules)
    at_end = _blocks(cls, _last(time, rules.edge_s), looks, rules)
    begun = _seconds(time) >= min(rules.edge_s, total) - 1e-6
    present = _middle(curve, lambda b: b.present, rules)
    return Figures(
        present=present, low=_middle(curve, lambda b: b.low, rules), high=_middle(curve, lambda b: b.high, rules),
        at_start=_middle(at_start, lambda b: b.present, rules) if begun else None,
        at_end=_middle(at_end, lambda b: b.present, rules) if over else None,
        lesson_s=_seconds(time), judged_s=sum(b.seconds for b in curve if b.present is not None),
    ), curve  # fmt: skip


Piece = tuple[datetime, datetime, list[Lesson]]


def _blocks(cls: TrainingClass, time: Sequence[Piece], looks: Sequence[Look], rules: Rules) -> list[Block]:
    """Five-minute blocks, counted from each piece's beginning; the last one of a piece may be shorter."""
    found = []
    step = timedelta(seconds=rules.block_s)
    for start, end, running in time:
        while start < end:
            until = min(start + step, end)
            found.append(block_of(cls, running, looks, start, until, rules))
            start = until
    return found


def _middle(blocks: Sequence[Block], value: Callable[[Block], int | None], rules: Rules) -> int | None:
    known = [(v, b.seconds) for b in blocks if (v := value(b)) is not None]
    total = sum(b.seconds for b in blocks)
    if not known or sum(weight for _, weight in known) < rules.answer_share * total - 1e-6:
        return None
    return median_up(known)


def _first(time: Sequence[Piece], seconds: float) -> list[Piece]:
    found = []
    for start, end, running in time:
        if seconds <= 0:
            break
        until = min(end, start + timedelta(seconds=seconds))
        found.append((start, until, running))
        seconds -= (until - start).total_seconds()
    return found


def _last(time: Sequence[Piece], seconds: float) -> list[Piece]:
    found: list[Piece] = []
    for start, end, running in reversed(time):
        if seconds <= 0:
            break
        since = max(start, end - timedelta(seconds=seconds))
        found.insert(0, (since, end, running))
        seconds -= (end - since).total_seconds()
    return found


def _seconds(time: Sequence[Piece]) -> float:
    return sum((end - start).total_seconds() for start, end, _ in time)


def _beside(room_id: str, lessons: Sequence[Lesson]) -> bool:
    """True where a room is in use while another room of the class is."""
    mine = [x for x in lessons if x.room_id == room_id]
    return any(_overlap(x, other) for x in mine for other in lessons if other.room_id != room_id)


def _overlap(one: Lesson, two: Lesson) -> bool:
    return one.start < two.end and two.start < one.end
