"""Decide when attendance alerts begin and end: conditions over a trailing window of looks, with hold times. Pure.

`conditions` evaluates what the looks show at present; `HoldTimers` decides which alerts to raise or clear.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal

from agent.attendance.estimate import compute_coverage, compute_upper_median
from agent.attendance.judge import CurveBlock, JudgedHalfDay, JudgementRules, judge_block
from agent.core.alert_model import AlertKind
from agent.core.class_model import Bench, Lesson, Room, TrainingClass
from agent.core.model import Look

ATTENDANCE_ALERT_KINDS = (
    AlertKind.ATTENDANCE_SHORTFALL,
    AlertKind.ATTENDANCE_EMPTY,
    AlertKind.ATTENDANCE_LATE_START,
    AlertKind.ATTENDANCE_EARLY_END,
    AlertKind.ATTENDANCE_OVER,
    AlertKind.PRACTICE_GROUP,
)


@dataclass(frozen=True, slots=True)
class AlertThresholds:
    """Parameters of the alerts.

    `settle_s`: time after a lesson's start in which shortfall and empty are not judged, because people still arrive.
    `stale_s`: looks older than this do not describe the present.
    """

    rules: JudgementRules = field(default_factory=JudgementRules)
    window_s: float = 300.0
    shortfall_ratio: float = 0.8
    settle_s: float = 300.0
    stale_s: float = 600.0


@dataclass(frozen=True, slots=True)
class AlertCondition:
    """Whether the condition of an alert holds at present.

    `holds`: None if it cannot be judged. `subject`: the half-day, for a practice group also the bench. `people`: the number
    seen. `against`: the number it is compared with. `since`: the beginning, if it is known independently of observation.
    """

    kind: AlertKind
    subject: str
    holds: bool | None
    people: int | None
    against: int
    look: Look | None
    since: datetime | None = None
    bench: Bench | None = None


def build_alert_subject(half: JudgedHalfDay) -> str:
    """Build the subject of a half-day's alerts: class ID/date/session."""
    return f"{half.class_id}/{half.date.isoformat()}/{half.session.value}"


def evaluate_conditions(
    cls: TrainingClass, half: JudgedHalfDay, looks: Sequence[Look], now: datetime, limits: AlertThresholds
) -> list[AlertCondition]:
    """Evaluate the conditions of the half-day under way over the trailing window; none during breaks."""
    lessons = [x.lesson for x in half.lessons]
    running = [x for x in lessons if x.start <= now < x.end]
    if not running:
        return []
    recent, start, end = _select_window(cls, running, looks, now, limits)
    block = judge_block(cls, running, recent, start, end, limits.rules) if recent else CurveBlock(start, end)
    look = max((x for x in recent if x.judged), key=lambda x: x.at, default=None)
    found = _evaluate_benches(cls, half, running, recent, (start, end), limits)
    return found if half.base is None else found + _evaluate_class(half, running, block, look, now, limits)


def _evaluate_class(
    half: JudgedHalfDay,
    running: Sequence[Lesson],
    block: CurveBlock,
    look: Look | None,
    now: datetime,
    limits: AlertThresholds,
) -> list[AlertCondition]:
    present, base, rules = block.present, half.base or 0, limits.rules
    settled = now >= max(x.start for x in running) + timedelta(seconds=limits.settle_s)
    first, last = half.lessons[0].lesson.start, max(x.lesson.end for x in half.lessons)
    begun = any((p or 0) >= rules.begun_ratio * base for p in [present, *(b.present for b in half.curve)])
    late = now >= first + timedelta(seconds=rules.late_s)
    ending = begun and max(x.end for x in running) == last
    time_left = (last - now).total_seconds()

    def condition(kind: AlertKind, holds: bool | None, since: datetime | None = None) -> AlertCondition:
        return AlertCondition(
            kind, build_alert_subject(half), None if present is None else holds, present, base, look, since
        )

    floor = rules.left_ratio * base
    return [
        condition(AlertKind.ATTENDANCE_SHORTFALL, (present or 0) < limits.shortfall_ratio * base if settled else None),
        condition(AlertKind.ATTENDANCE_EMPTY, present == 0 if settled else None),
        condition(AlertKind.ATTENDANCE_OVER, (present or 0) > rules.over_ratio * base),
        condition(AlertKind.ATTENDANCE_LATE_START, late and not begun, first),
        # near the planned end people may leave: raise no new alert then, and keep an open one
        condition(
            AlertKind.ATTENDANCE_EARLY_END, ending and (present or 0) < floor if time_left > rules.early_s else None
        ),
    ]


def _select_window(
    cls: TrainingClass, running: Sequence[Lesson], looks: Sequence[Look], now: datetime, limits: AlertThresholds
) -> tuple[list[Look], datetime, datetime]:
    """Return the looks of the rooms in use in the trailing window, and the window's start and end.

    The window is the `window_s` up to the newest look (looks arrive with a delay), but starts no earlier than the lesson.
    No looks are returned if the newest is stale.
    """
    rooms = {x.room_id for x in running}
    cameras = {camera for room_id in rooms for camera in cls.room(room_id).cameras}
    lesson_start = max(x.start for x in running)
    mine = [x for x in looks if x.camera_id in cameras and lesson_start <= x.at <= now]
    newest = max((x.at for x in mine), default=None)
    if newest is None or (now - newest).total_seconds() > limits.stale_s:
        return [], lesson_start, now
    end = newest + timedelta(milliseconds=1)
    start = max(lesson_start, end - timedelta(seconds=limits.window_s))
    return [x for x in mine if x.at >= start], start, end


def _evaluate_benches(
    cls: TrainingClass,
    half: JudgedHalfDay,
    running: Sequence[Lesson],
    looks: Sequence[Look],
    window: tuple[datetime, datetime],
    limits: AlertThresholds,
) -> list[AlertCondition]:
    """Evaluate whether a practice bench exceeds its limit, by the median over its camera's looks in the window."""
    found = []
    for room in (cls.room(x.room_id) for x in running if x.kind == "practice"):
        for bench in room.benches:
            mine = [x for x in looks if x.camera_id == bench.camera_id and x.judged]
            enough = compute_coverage(mine, *window, limits.rules.reach_s) >= limits.rules.block_share
            people = compute_upper_median((count_at_bench(bench, x), 1.0) for x in mine) if mine and enough else None
            found.append(
                AlertCondition(
                    AlertKind.PRACTICE_GROUP,
                    _build_bench_subject(half, room, bench),
                    None if people is None else people > bench.limit,
                    people,
                    bench.limit,
                    mine[-1] if mine else None,
                    bench=bench,
                )
            )
    return found


def _build_bench_subject(half: JudgedHalfDay, room: Room, bench: Bench) -> str:
    return f"{build_alert_subject(half)}/{room.room_id}/{bench.name}"


def count_at_bench(bench: Bench, look: Look) -> int:
    """Count the heads, things left out, whose centre is inside the bench's polygon."""
    if not look.width or not look.height:
        return 0
    centres = [((x1 + x2) / 2 / look.width, (y1 + y2) / 2 / look.height) for x1, y1, x2, y2, _ in look.counted_boxes]
    return sum(_is_inside(bench.polygon, x, y) for x, y in centres)


def _is_inside(polygon: Sequence[tuple[float, float]], x: float, y: float) -> bool:
    """Test by the even-odd rule: count the edges that a ray to the right crosses."""
    inside = False
    for (x1, y1), (x2, y2) in zip(polygon, [*polygon[1:], polygon[0]], strict=True):
        if (y1 > y) != (y2 > y) and x < (x2 - x1) * (y - y1) / (y2 - y1) + x1:
            inside = not inside
    return inside


AlertStep = Literal["raise", "clear"]
AlertKey = tuple[AlertKind, str]


@dataclass
class PendingChange:
    """A change that waits for its hold time, from `began` (monotonic) and `at`.

    `held_back`: the change was already counted against the hourly limit.
    """

    began: float
    at: datetime
    held_back: bool = False


class HoldTimers:
    """Hold times: a condition must hold for `hold_s` before an alert is raised, and be absent as long before it is cleared."""

    def __init__(self, hold_s: float) -> None:
        self.hold_s = hold_s
        self.pending: dict[AlertKey, PendingChange] = {}

    def step(
        self, key: AlertKey, holds: bool | None, is_open: bool, monotonic: float, now: datetime
    ) -> AlertStep | None:
        """Return what to do now.

        Waiting ends if the condition cannot be judged or agrees with the state of the alert.
        """
        if holds is None or holds == is_open:
            self.pending.pop(key, None)
            return None
        waiting = self.pending.setdefault(key, PendingChange(monotonic, now))
        if monotonic - waiting.began < self.hold_s:
            return None
        return "raise" if holds else "clear"

    def keep(self, asked: set[AlertKey]) -> None:
        """End the waiting of conditions that are no longer evaluated: during breaks nothing is observed."""
        self.pending = {key: waiting for key, waiting in self.pending.items() if key in asked}
