"""What the evidence shows about one minute of a class: the answers of form 11 that video can give, and no more."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import pairwise
from statistics import median

from agent.attendance import figures
from agent.attendance.alerting import count_at_bench
from agent.attendance.estimate import compute_coverage, compute_upper_median, estimate_room
from agent.attendance.judge import CurveBlock, JudgementRules
from agent.catalog import Catalog
from agent.core.alert_model import Alert
from agent.core.class_model import Bench, Lesson, Room, TrainingClass
from agent.core.model import Gap, Look, Session
from agent.core.room_gaps import RoomGapTotal
from agent.drive import class_gaps

CLEAR_SHARE = 0.95
"""Video counts as clear if at least this share of its looks could be judged."""
_MARKS = ("picture.", "sound.")


@dataclass(frozen=True, slots=True)
class RoomMinute:
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
class MinuteFacts:
    """The facts. `block` is the five minutes whose estimate stands for the minute; counts are None where unknown.

    `every_s`: seconds from look to look of a camera, None for fewer than two. `gaps`, `missing` (their sum), `looks`, `judged`,
    `reasons` (why looks could not be judged) and `alerts` (of picture and sound) are of the half-day from its first lesson up
    to `until`: its end, or now.
    """

    cls: TrainingClass
    at: datetime
    day: date
    session: Session
    expected: int
    until: datetime
    lessons: list[Lesson]
    block: CurveBlock | None
    rooms: list[RoomMinute]
    gaps: list[Gap]
    missing: RoomGapTotal
    looks: int
    judged: int
    every_s: int | None
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


def collect_form11_facts(
    catalog: Catalog,
    classes: Sequence[TrainingClass],
    cls: TrainingClass,
    day: date,
    session: Session,
    at: datetime,
    now: datetime,
    rules: JudgementRules,
) -> MinuteFacts:
    """Collect the facts. `at` lies on the half-day, which has at least one lesson."""
    lessons = cls.lessons_of(day, session)
    shown = figures.load_half_day_figures(catalog, cls, day, session, now, rules)
    looks = catalog.looks.of_half_day(cls.class_id, day, session)
    book = class_gaps.load_gap_book(catalog, classes, cls.class_id, now, day, session)
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
    return MinuteFacts(
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
        _measure_spacing(in_lessons),
        Counter(x.reason or "unknown" for x in in_lessons if not x.judged),
        alerts,
    )


def _measure_spacing(looks: Sequence[Look]) -> int | None:
    """Return the usual time between two looks of a camera in whole seconds."""
    times: dict[str, list[datetime]] = {}
    for look in looks:
        times.setdefault(look.camera_id, []).append(look.at)
    steps = [(b - a).total_seconds() for found in times.values() for a, b in pairwise(sorted(found))]
    return round(median(steps)) if steps else None


def _room(
    room: Room,
    on: Sequence[Lesson],
    looks: Sequence[Look],
    block: CurveBlock | None,
    at: datetime,
    rules: JudgementRules,
) -> RoomMinute:
    start, end = (block.start, block.end) if block else (at, at + timedelta(minutes=1))
    seen = estimate_room(room, looks, start, end, reach_s=rules.reach_s, share=rules.block_share)
    lesson = next((x for x in on if x.room_id == room.room_id), None)
    groups = tuple((bench, _count_group(bench, looks, start, end, rules)) for bench in room.benches)
    return RoomMinute(room, lesson, seen.people if seen else None, groups)


def _count_group(
    bench: Bench, looks: Sequence[Look], start: datetime, end: datetime, rules: JudgementRules
) -> int | None:
    mine = [x for x in looks if x.camera_id == bench.camera_id and x.judged and start <= x.at < end]
    if not mine or compute_coverage(mine, start, end, rules.reach_s) < rules.block_share:
        return None
    return compute_upper_median((count_at_bench(bench, x), 1.0) for x in mine)
