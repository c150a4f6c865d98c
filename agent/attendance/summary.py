"""Across the class: attendance rate by day and over all, hours really taught against the plan. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from agent.attendance.judge import HalfDay, Rules, pieces
from agent.model_classes import TrainingClass


@dataclass(frozen=True, slots=True)
class Rate:
    """Present and expected, each summed over the half-days that could be judged."""

    present: int
    expected: int
    half_days: int
    unjudged: int

    @property
    def ratio(self) -> float | None:
        return round(self.present / self.expected, 4) if self.expected else None


@dataclass(frozen=True, slots=True)
class Hours:
    """Lesson seconds. planned: in the plan as amended; due: of them before `now`; then of those due: taught (the class was
    seen there), not_taught (seen not to be), unknown (nobody could tell). Cancelled lessons are in none of them."""

    planned: float
    due: float
    taught: float
    not_taught: float
    unknown: float
    cancelled: float


@dataclass(frozen=True, slots=True)
class Summary:
    by_day: dict[date, Rate]
    overall: Rate
    hours: Hours

    def as_object(self) -> dict[str, Any]:
        def rate(r: Rate) -> dict[str, Any]:
            return {"present": r.present, "expected": r.expected, "ratio": r.ratio, "half_days": r.half_days,
                    "unjudged": r.unjudged}  # fmt: skip

        hours = self.hours
        return {
            "overall": rate(self.overall), "days": [{"date": d.isoformat(), **rate(r)} for d, r in self.by_day.items()],
            "planned_s": round(hours.planned), "due_s": round(hours.due), "taught_s": round(hours.taught),
            "not_taught_s": round(hours.not_taught), "unknown_s": round(hours.unknown),
            "cancelled_s": round(hours.cancelled),
        }  # fmt: skip


def summarise(cls: TrainingClass, half_days: Sequence[HalfDay], now: datetime, rules: Rules) -> Summary:
    """Sum up judged half-days (of lesson time that has run). Half-days that still run are counted as far as they have."""
    days = sorted({h.date for h in half_days})
    return Summary({day: _rate(h for h in half_days if h.date == day) for day in days}, _rate(half_days),
                   _hours(cls, half_days, now, rules))  # fmt: skip


def _rate(half_days: Iterable[HalfDay]) -> Rate:
    rows = list(half_days)
    known = [(h.figures.present, h.base) for h in rows if h.figures.present is not None and h.base is not None]
    return Rate(sum(p for p, _ in known), sum(b for _, b in known), len(known), len(rows) - len(known))


def _hours(cls: TrainingClass, half_days: Sequence[HalfDay], now: datetime, rules: Rules) -> Hours:
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
        planned=sum((b - a).total_seconds() for a, b in time), due=due, taught=taught, not_taught=not_taught,
        unknown=max(0.0, due - taught - not_taught),
        cancelled=sum((x.end - x.start).total_seconds() for x in cls.lessons if x.cancelled),
    )  # fmt: skip
