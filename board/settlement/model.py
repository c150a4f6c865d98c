"""The figures of a settlement: half-days, classes, institutions. Pure.

Figures of several boxes are never added: where boxes report one half-day side by side, the longest time that one of them
judged counts as judged, which is the least that was certainly judged, and no attendance is reckoned from it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal

Doubt = Literal["unreported", "unjudged", "provisional", "several", "no_ledger", "unsigned"]
"""Why something of a half-day cannot be judged (yet)."""
DOUBTS: tuple[Doubt, ...] = ("unreported", "unjudged", "provisional", "several", "no_ledger", "unsigned")


@dataclass(frozen=True, slots=True)
class BoxReport:
    """What one box reported of a half-day. `gaps` None: no ledger has come; `gap_s`: camera seconds without video."""

    box: str
    present: int | None
    low: int | None
    high: int | None
    status: str
    lesson_s: float
    judged_s: float
    gaps: int | None
    gap_s: float
    witness: str


@dataclass(slots=True)
class SettledHalfDay:
    """A half-day that is over. `planned_s`: lesson time as approved and amended; `expected`: the approved base."""

    date: str
    session: str
    expected: int | None
    planned_s: float
    boxes: list[BoxReport] = field(default_factory=list)
    alerts: Counter[str] = field(default_factory=Counter)
    checks: Counter[str] = field(default_factory=Counter)
    calls: Counter[str] = field(default_factory=Counter)

    @property
    def single(self) -> BoxReport | None:
        """Return the report where one box alone reported."""
        return self.boxes[0] if len(self.boxes) == 1 else None

    @property
    def taught_s(self) -> float:
        """Return judged lesson time with trainees."""
        return self._judged(held=True)

    @property
    def empty_s(self) -> float:
        """Return judged lesson time without trainees, where no box saw any."""
        return 0.0 if self.taught_s else self._judged(held=False)

    @property
    def unknown_s(self) -> float:
        """Return lesson time of which nothing is known."""
        return max(0.0, self.planned_s - self.taught_s - self.empty_s)

    def _judged(self, *, held: bool) -> float:
        times = (x.judged_s for x in self.boxes if x.present is not None and (x.present > 0) == held)
        return min(max(times, default=0.0), self.planned_s)

    @property
    def ratio(self) -> float | None:
        """Return present by expected, both of one box; None where that is not known."""
        one = self.single
        return one.present / self.expected if one and one.present is not None and self.expected else None

    @property
    def doubts(self) -> list[Doubt]:
        """Return what cannot be judged, and why."""
        if not self.boxes:
            return ["unreported"]
        found: dict[Doubt, bool] = {
            "unjudged": all(x.present is None or x.status == "unjudged" for x in self.boxes),
            "provisional": any(x.status == "provisional" for x in self.boxes),
            "several": len(self.boxes) > 1,
            "no_ledger": any(x.gaps is None for x in self.boxes),
            "unsigned": any(x.witness != "signed" for x in self.boxes),
        }
        return [name for name, wrong in found.items() if wrong]


@dataclass(slots=True)
class SettlementTotals:
    """Sums of half-days that are over. `present` and `base`: of the half-days that one box alone reported and judged."""

    half_days: int = 0
    planned_s: float = 0.0
    taught_s: float = 0.0
    empty_s: float = 0.0
    unknown_s: float = 0.0
    present: int = 0
    base: int = 0
    counted: int = 0
    gaps: int = 0
    gap_s: float = 0.0
    alerts: int = 0
    checks: Counter[str] = field(default_factory=Counter)
    calls: Counter[str] = field(default_factory=Counter)
    doubts: Counter[str] = field(default_factory=Counter)

    @property
    def ratio(self) -> float | None:
        """Return all present by all expected; None where nothing could be counted."""
        return self.present / self.base if self.base else None

    def add(self, half_day: SettledHalfDay) -> None:
        """Add a half-day."""
        self.half_days += 1
        self.planned_s += half_day.planned_s
        self.taught_s += half_day.taught_s
        self.empty_s += half_day.empty_s
        self.unknown_s += half_day.unknown_s
        one = half_day.single
        if one is not None and one.present is not None and half_day.expected:
            self.present, self.base, self.counted = (
                self.present + one.present,
                self.base + half_day.expected,
                self.counted + 1,
            )
        self.gaps += sum(x.gaps or 0 for x in half_day.boxes)
        self.gap_s += sum(x.gap_s for x in half_day.boxes)
        self.alerts += half_day.alerts.total()
        self.checks += half_day.checks
        self.calls += half_day.calls
        self.doubts.update(half_day.doubts)


@dataclass(slots=True)
class SettledClass:
    """A class with its half-days of the month that are over, in order, and how many are still to come in it."""

    class_id: str
    institution: str
    occupation: str
    class_number: int | None
    place: str
    half_days: list[SettledHalfDay] = field(default_factory=list)
    to_come: int = 0

    @property
    def totals(self) -> SettlementTotals:
        """Return the sums of its half-days."""
        return sum_up(self.half_days)


def sum_up(half_days: Iterable[SettledHalfDay]) -> SettlementTotals:
    """Return the sums of half-days."""
    totals = SettlementTotals()
    for half_day in half_days:
        totals.add(half_day)
    return totals
