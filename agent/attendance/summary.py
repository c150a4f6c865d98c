"""Summarise a class: attendance rate by day and overall, and hours taught compared with the plan. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime

from agent.attendance.judge import HalfDay, Rules
from agent.attendance.lesson_time import pieces
from agent.model_classes import TrainingClass


@dataclass(frozen=True, slots=True)
class Rate:
    """An attendance rate: present and expected, each summed over the half-days that could be judged."""

    present: int
    expected: int
    half_days: int
    unjudged: int

    @property
    def ratio(self) -> float | None:
        return round(self.present / self.expected, 4) if self.expected else None


@dataclass(frozen=True, slots=True)
class Hours:
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
class Summary:
    """The summary of a class."""

    by_day: dict[date, Rate]
    overall: Rate
    hours: Hours

    def as_object(self) -> dict[str, object]:
        """Build the JSON object; times in seconds."""

        def rate(r: Rate) -> dict[str, object]:
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


def summarise(cls: TrainingClass, half_days: Sequence[HalfDay], now: datetime, rules: Rules) -> Summary:
    """Summarise judged half-days; one that is still under way counts as far as it has run."""
    days = sorted({h.date for h in half_days})
    return Summary(
        {day: _compute_rate(h for h in half_days if h.date == day) for day in days},
        _compute_rate(half_days),
        _compute_hours(cls, half_days, now, rules),
    )


def _compute_rate(half_days: Iterable[HalfDay]) -> Rate:
    rows = list(half_days)
    known = [(h.figures.present, h.base) for h in rows if h.figures.present is not None and h.base is not None]
    return Rate(sum(p for p, _ in known), sum(b for _, b in known), len(known), len(rows) - len(known))


def _compute_hours(cls: TrainingClass, half_days: Sequence[HalfDay], now: datetime, rules: Rules) -> Hours:
    time = [(a, b) for day, session in cls.half_days() for a, b, _ in pieces(cls.lessons_of(day, session))]
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
    return Hours(
        planned=sum((b - a).total_seconds() for a, b in time),
        due=due,
        taught=taught,
        not_taught=not_taught,
        unknown=max(0.0, due - taught - not_taught),
        cancelled=sum((x.end - x.start).total_seconds() for x in cls.lessons if x.cancelled),
    )
