"""Judge a half-day: compute the contract's figures from a class, its looks and the present time. Pure.

Lesson time is split where any lesson begins or ends, so that inside a piece the same rooms are in use, and each piece into
five-minute blocks from its beginning. A block's figure is the sum, over the rooms in use at that time, of (estimate - staff
in the room); it is known only if each of those rooms can be judged. Rooms used one after another are not added: each of
their blocks is a figure of the whole class. Breaks are in no block. The half-day's figures are medians over its judged
blocks, weighted by their seconds.

Rooms without a camera are not covered by this box. If one is in use at the same time as a room with a camera, the figures
cover only the rooms with cameras, and `absent` and `ratio`, which need the whole class, stay unknown.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, cast

from agent.attendance.estimate import compute_upper_median, estimate_room
from agent.attendance.lesson_time import (
    LessonPiece,
    is_shared,
    overlaps,
    split_lesson_time,
    sum_seconds,
    take_first,
    take_last,
)
from agent.class_files.json_types import AttendanceStatus
from agent.core.class_model import Lesson, TrainingClass
from agent.core.model import Look, Session

if TYPE_CHECKING:
    from agent.contract.attendance import AttendanceBody, CountsBody, EstimateBody


@dataclass(frozen=True, slots=True)
class JudgementRules:
    """Parameters of the judgement. `reach_s`: the time that one look covers, at least the counting interval."""

    block_s: float = 300.0
    edge_s: float = 900.0
    reach_s: float = 60.0
    block_share: float = 0.5
    """A block is judged if looks cover at least this part of it."""
    answer_share: float = 0.5
    """A figure is known if at least this part of its lesson time was judged."""
    begun_ratio: float = 0.5
    """A half-day has begun once this part of the expected headcount is present."""
    left_ratio: float = 0.2
    """Below this part of the expected headcount the class counts as gone."""
    over_ratio: float = 1.1
    late_s: float = 900.0
    early_s: float = 900.0
    empty_s: float = 900.0
    interrupted_s: float = 900.0
    over_s: float = 600.0

    @staticmethod
    def for_looks_every(seconds: float) -> JudgementRules:
        """Build the rules for a counting interval: a look covers one minute, or two intervals if those are longer."""
        return JudgementRules(reach_s=max(60.0, 2 * seconds))


@dataclass(frozen=True, slots=True)
class CurveBlock:
    """At most five minutes of lesson time; `present` (trainees), `low` and `high` are None if it cannot be judged."""

    start: datetime
    end: datetime
    present: int | None = None
    low: int | None = None
    high: int | None = None

    @property
    def seconds(self) -> float:
        return (self.end - self.start).total_seconds()


@dataclass(frozen=True, slots=True)
class PresenceFigures:
    """Figures of a half-day, a room or a lesson; counts are None if they cannot be judged."""

    present: int | None
    low: int | None
    high: int | None
    at_start: int | None
    at_end: int | None
    lesson_s: float
    judged_s: float


@dataclass(frozen=True, slots=True)
class LessonFigures:
    """A lesson with its figures."""

    lesson: Lesson
    figures: PresenceFigures


@dataclass(frozen=True, slots=True)
class RoomFigures:
    """A room with its figures. `base`: the headcount to compare with, None if other rooms are in use at the same time."""

    room_id: str
    base: int | None
    figures: PresenceFigures


@dataclass(frozen=True, slots=True)
class JudgedHalfDay:
    """A judged half-day.

    `base`: the headcount to compare with, None if a room without camera is in use at the same time. `over`: all lessons have
    ended. `curve`: the blocks in order of time (the arrival curve).
    """

    class_id: str
    date: date
    session: Session
    expected: int
    base: int | None
    over: bool
    figures: PresenceFigures
    rooms: tuple[RoomFigures, ...]
    lessons: tuple[LessonFigures, ...]
    curve: tuple[CurveBlock, ...]


def judge_half_day(
    cls: TrainingClass, day: date, session: Session, looks: Sequence[Look], now: datetime, rules: JudgementRules
) -> JudgedHalfDay:
    """Judge a half-day as far as it has run at `now`; later lesson time is not part of any figure."""
    looks = sorted(looks, key=_get_instant)
    everything = cls.lessons_of(day, session)
    lessons = [x for x in everything if cls.room(x.room_id).cameras]
    expected = cls.expected_on(day, session)
    alone = {x.room_id: not is_shared(x.room_id, everything) for x in lessons}
    here = {x.room_id for x in lessons}
    shared = any(overlaps(x, other) for x in lessons for other in everything if other.room_id not in here)

    def judge_lessons(some: Collection[Lesson]) -> tuple[PresenceFigures, list[CurveBlock]]:
        return _judge_lessons(cls, sorted(some, key=lambda x: x.start), looks, now, rules)

    figures, curve = judge_lessons(lessons)
    rooms = []
    for room in cls.rooms:
        mine = [x for x in lessons if x.room_id == room.room_id]
        if mine:
            base = expected if alone[room.room_id] else None
            rooms.append(RoomFigures(room.room_id, base, judge_lessons(mine)[0]))
    return JudgedHalfDay(
        cls.class_id,
        day,
        session,
        expected,
        None if shared else expected,
        over=all(x.end <= now for x in lessons),
        figures=figures,
        rooms=tuple(rooms),
        lessons=tuple(LessonFigures(x, judge_lessons([x])[0]) for x in lessons),
        curve=tuple(curve),
    )


def build_attendance_object(half: JudgedHalfDay, status: AttendanceStatus, revision: int) -> AttendanceBody:
    """Build the contract's attendance object, without sign-ins."""
    body: EstimateBody = {
        "class_id": half.class_id,
        "date": half.date.isoformat(),
        "session": half.session.value,
        "expected": half.expected,
        **_build_counts(half.figures, half.base),
        "status": status,
        "revision": revision,
        "rooms": [
            {"room_id": room.room_id, "expected": room.base, **_build_counts(room.figures, room.base)}
            for room in half.rooms
        ],
    }
    return cast("AttendanceBody", body)


def _build_counts(figures: PresenceFigures, base: int | None) -> CountsBody:
    present, absent, ratio = figures.present, None, None
    if present is not None and base is not None:
        absent, ratio = max(0, base - present), round(present / base, 4)
    return {
        "present": present,
        "absent": absent,
        "low": figures.low,
        "high": figures.high,
        "ratio": ratio,
        "at_start": figures.at_start,
        "at_end": figures.at_end,
        "lesson_s": round(figures.lesson_s),
        "judged_s": round(figures.judged_s),
    }


def judge_block(
    cls: TrainingClass,
    lessons: Sequence[Lesson],
    looks: Sequence[Look],
    start: datetime,
    end: datetime,
    rules: JudgementRules,
) -> CurveBlock:
    """Judge one block, for which exactly `lessons` are under way: the trainees in all their rooms together.

    `looks` must be in order of time.
    """
    looks = looks[bisect_left(looks, start, key=_get_instant) : bisect_left(looks, end, key=_get_instant)]
    present = low = high = 0
    for lesson in lessons:
        room = cls.room(lesson.room_id)
        seen = estimate_room(room, looks, start, end, reach_s=rules.reach_s, share=rules.block_share)
        if seen is None:
            return CurveBlock(start, end)
        present += max(0, seen.people - lesson.staff_in_room)
        low += max(0, seen.low - lesson.staff_in_room)
        high += seen.high  # upper bound: no staff in view
    return CurveBlock(start, end, present, low, high)


def _get_instant(look: Look) -> datetime:
    return look.at


def _judge_lessons(
    cls: TrainingClass, lessons: list[Lesson], looks: Sequence[Look], now: datetime, rules: JudgementRules
) -> tuple[PresenceFigures, list[CurveBlock]]:
    time = [(a, min(b, now), running) for a, b, running in split_lesson_time(lessons) if a < now]
    curve = _judge_blocks(cls, time, looks, rules)
    over = all(x.end <= now for x in lessons)
    total = sum_seconds(split_lesson_time(lessons))
    at_start = _judge_blocks(cls, take_first(time, rules.edge_s), looks, rules)
    at_end = _judge_blocks(cls, take_last(time, rules.edge_s), looks, rules)
    begun = sum_seconds(time) >= min(rules.edge_s, total) - 1e-6
    present = _compute_median(curve, lambda b: b.present, rules)
    return PresenceFigures(
        present=present,
        low=_compute_median(curve, lambda b: b.low, rules),
        high=_compute_median(curve, lambda b: b.high, rules),
        at_start=_compute_median(at_start, lambda b: b.present, rules) if begun else None,
        at_end=_compute_median(at_end, lambda b: b.present, rules) if over else None,
        lesson_s=sum_seconds(time),
        judged_s=sum(b.seconds for b in curve if b.present is not None),
    ), curve


def _judge_blocks(
    cls: TrainingClass, time: Sequence[LessonPiece], looks: Sequence[Look], rules: JudgementRules
) -> list[CurveBlock]:
    """Judge the five-minute blocks of each piece; the last one of a piece may be shorter."""
    found = []
    step = timedelta(seconds=rules.block_s)
    for start, end, running in time:
        while start < end:
            until = min(start + step, end)
            found.append(judge_block(cls, running, looks, start, until, rules))
            start = until
    return found


def _compute_median(
    blocks: Sequence[CurveBlock], value: Callable[[CurveBlock], int | None], rules: JudgementRules
) -> int | None:
    """Return the median over the judged blocks, weighted by seconds; None if too little time was judged."""
    known = [(v, b.seconds) for b in blocks if (v := value(b)) is not None]
    total = sum(b.seconds for b in blocks)
    if not known or sum(weight for _, weight in known) < rules.answer_share * total - 1e-6:
        return None
    return compute_upper_median(known)
