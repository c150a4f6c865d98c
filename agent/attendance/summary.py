"""Summarise a class: attendance rate by day and overall, and hours taught compared with the plan. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime

from agent.attendance.judge import JudgedHalfDay, JudgementRules
from agent.attendance.lesson_time import split_lesson_time
from agent.core.class_model import TrainingClass


@dataclass(frozen=True, slots=True)
class AttendanceRate:
    """An attendance rate: present and expected, each summed over the half-days that could be judged."""

    present: int
    expected: int
    half_days: int
    unjudged: int

    @property
    def ratio(self) -> float | None:
        return round(self.present / self.expected, 4) if self.expected else None


@dataclass(frozen=True, slots=True)
class LessonHours:
    """Lesson time in seconds.

    `planned`: in the plan as amended. `due`: the part of it before now; it consists of `taught` (the class was seen),
    `not_taught` (the class was seen to be absent) and `unknown` (not judged). Only `cancelled` contains cancelled lessons.
    """

    planned: float
    due: float
    taught: float
    not_taught: float
    unknown: float
    cancelled: float


@dataclass(frozen=True, slots=True)
class ClassSummary:
    """The summary of a class."""

    by_day: dict[date, AttendanceRate]
    overall: AttendanceRate
    hours: LessonHours

    def as_object(self) -> dict[str, object]:
        """Build the JSON object; times in seconds."""

        def rate(r: AttendanceRate) -> dict[str, object]:
            return {
                "present": r.present,
                "expected": r.expected,
                "ratio": r.ratio,
                "half_days": r.half_days,
                "unjudged": r.unjudged,
            }

        hours = self.hours
        return {
            "overall": rate(self.overall),
            "days": [{"date": d.isoformat(), **rate(r)} for d, r in self.by_day.items()],
            "planned_s": round(hours.planned),
            "due_s": round(hours.due),
            "taught_s": round(hours.taught),
            "not_taught_s": round(hours.not_taught),
            "unknown_s": round(hours.unknown),
            "cancelled_s": round(hours.cancelled),
        }


def summarize_class(
    cls: TrainingClass, half_days: Sequence[JudgedHalfDay], now: datetime, rules: JudgementRules
) -> ClassSummary:
    """Summarise judged half-days; one that is still under way counts as far as it has run."""
    days = sorted({h.date for h in half_days})
    return ClassSummary(
        {day: _compute_rate(h for h in half_days if h.date == day) for day in days},
        _compute_rate(half_days),
        _compute_hours(cls, half_days, now, rules),
    )


def _compute_rate(half_days: Iterable[JudgedHalfDay]) -> AttendanceRate:
    rows = list(half_days)
    known = [(h.figures.present, h.base) for h in rows if h.figures.present is not None and h.base is not None]
    return AttendanceRate(sum(p for p, _ in known), sum(b for _, b in known), len(known), len(rows) - len(known))


def _compute_hours(
    cls: TrainingClass, half_days: Sequence[JudgedHalfDay], now: datetime, rules: JudgementRules
) -> LessonHours:
    time = [(a, b) for day, session in cls.half_days() for a, b, _ in split_lesson_time(cls.lessons_of(day, session))]
    due = sum((min(b, now) - a).total_seconds() for a, b in time if a < now)
    taught = not_taught = 0.0
    for half in half_days:
        for block in half.curve:
            if block.present is None:
                continue
            if block.present >= max(1.0, rules.left_ratio * (half.base or 0)):
                taught += block.seconds
            else:
                not_taught += block.seconds
    return LessonHours(
        planned=sum((b - a).total_seconds() for a, b in time),
        due=due,
        taught=taught,
        not_taught=not_taught,
        unknown=max(0.0, due - taught - not_taught),
        cancelled=sum((x.end - x.start).total_seconds() for x in cls.lessons if x.cancelled),
    )
