"""What the evidence shows about one minute of a class: the answers of form 11 that video can give, and no more."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from agent.attendance import figures
from agent.attendance.alerting import at_bench
from agent.attendance.estimate import covered, median_up, room_estimate
from agent.attendance.judge import Block, Rules
from agent.catalog import Catalog
from agent.drive import gaps
from agent.missing import Total
from agent.model import Gap, Look, Session
from agent.model_alerts import Alert
from agent.model_classes import Bench, Lesson, Room, TrainingClass

CLEAR_SHARE = 0.95
"""Video counts as clear if at least this share of its looks could be judged."""
_MARKS = ("picture.", "sound.")


@dataclass(frozen=True, slots=True)
class RoomSeen:
    """A room at that minute.

    `lesson` is what was planned there; `people` (staff included) is None where it cannot be judged. `groups`: people at each of
    the room's benches, likewise.
    """

    room: Room
    lesson: Lesson | None
    people: int | None
    groups: tuple[tuple[Bench, int | None], ...] = ()

    @property
    def held(self) -> bool | None:
        """Whether trainees were in it: more people than its staff."""
        return None if self.people is None else self.people > (self.lesson.staff_in_room if self.lesson else 1)


@dataclass(frozen=True, slots=True)
class Minute:
    """The facts. `block` is the five minutes whose estimate stands for the minute; counts are None where unknown.

    `gaps`, `missing` (their sum), `looks`, `judged`, `reasons` (why looks could not be judged) and `alerts` (of picture and
    sound) are of the half-day from its first lesson up to `until`: its end, or now.
    """

    cls: TrainingClass
    at: datetime
    day: date
    session: Session
    expected: int
    until: datetime
    lessons: list[Lesson]
    block: Block | None
    rooms: list[RoomSeen]
    gaps: list[Gap]
    missing: Total
    looks: int
    judged: int
    reasons: Counter[str]
    alerts: list[Alert]

    @property
    def as_planned(self) -> bool | None:
        """Whether theory or practice takes place as planned; None where a planned room cannot be judged or no lesson is on."""
        planned = [x for x in self.rooms if x.lesson]
        if any(x.held for x in self.rooms if not x.lesson):
            return False
        if any(x.held is False for x in planned):
            return False
        return True if planned and all(x.held for x in planned) else None

    @property
    def complete(self) -> bool | None:
        """Whether there is video of all planned time so far; None before the first lesson or without a camera."""
        if self.until <= self._first:
            return None
        if self.gaps:
            return False
        begun = {x.room_id for x in self.cls.lessons_of(self.day, self.session) if x.start < self.until}
        return True if begun <= {room for room, *_ in self.missing.rooms} else None

    @property
    def clear(self) -> bool | None:
        """Whether the pictures could be judged and no alert of picture or sound was open; None without looks."""
        if not self.looks:
            return None
        return self.judged >= CLEAR_SHARE * self.looks and not self.alerts

    @property
    def _first(self) -> datetime:
        return self.cls.lessons_of(self.day, self.session)[0].start


def of(
    catalog: Catalog,
    classes: Sequence[TrainingClass],
    cls: TrainingClass,
    day: date,
    session: Session,
    at: datetime,
    now: datetime,
    rules: Rules,
) -> Minute:
    """Collect the facts. `at` lies on the half-day, which has at least one lesson."""
    lessons = cls.lessons_of(day, session)
    shown = figures.shown(catalog, cls, day, session, now, rules)
    looks = catalog.looks.of_half_day(cls.class_id, day, session)
    book = gaps.book(catalog, classes, cls.class_id, now, day, session)
    block = next((b for b in shown.half.curve if b.start <= at < b.end), None)
    on = [x for x in lessons if x.start <= at < x.end]
    until = min(now, lessons[-1].end)
    in_lessons = [x for x in looks if any(y.start <= x.at < y.end for y in lessons)]
    alerts = [
        a
        for a in catalog.alerts.of_class(cls.class_id)
        if a.kind.value.startswith(_MARKS)
        and ((a.date, a.session) == (day, session) or lessons[0].start <= a.since < lessons[-1].end)
    ]
    return Minute(
        cls,
        at,
        day,
        session,
        cls.expected_on(day, session),
        until,
        on,
        block,
        [_room(room, on, looks, block, at, rules) for room in cls.rooms],
        book.gaps,
        book.total(),
        len(in_lessons),
        sum(x.judged for x in in_lessons),
        Counter(x.reason or "unknown" for x in in_lessons if not x.judged),
        alerts,
    )


def _room(
    room: Room, on: Sequence[Lesson], looks: Sequence[Look], block: Block | None, at: datetime, rules: Rules
) -> RoomSeen:
    start, end = (block.start, block.end) if block else (at, at + timedelta(minutes=1))
    seen = room_estimate(room, looks, start, end, reach_s=rules.reach_s, share=rules.block_share)
    lesson = next((x for x in on if x.room_id == room.room_id), None)
    groups = tuple((bench, _group(bench, looks, start, end, rules)) for bench in room.benches)
    return RoomSeen(room, lesson, seen.people if seen else None, groups)


def _group(bench: Bench, looks: Sequence[Look], start: datetime, end: datetime, rules: Rules) -> int | None:
    mine = [x for x in looks if x.camera_id == bench.camera_id and x.judged and start <= x.at < end]
    if not mine or covered(mine, start, end, rules.reach_s) < rules.block_share:
        return None
    return median_up((at_bench(bench, x), 1.0) for x in mine)
