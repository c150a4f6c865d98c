"""The figures of a half-day for page, API and commands: as published, with lessons, arrival curve and findings."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from agent.attendance import findings as curve_findings
from agent.attendance.judge import HalfDay, Rules, as_object, judge
from agent.attendance.watch import status_of
from agent.catalog import Catalog
from agent.clock import rfc3339
from agent.model import Session
from agent.model_classes import TrainingClass

if TYPE_CHECKING:
    from agent.contract.attendance import AttendanceBody, HalfDayFiguresBody


@dataclass(frozen=True, slots=True)
class Shown:
    """A half-day's figures. `body`: the contract's object as last published, else as judged now (revision 0)."""

    half: HalfDay
    body: AttendanceBody
    findings: list[curve_findings.Finding]

    def as_object(self, zone: ZoneInfo) -> HalfDayFiguresBody:
        """Build the contract's object with `lessons`, `curve` and `findings` added."""
        return {
            **self.body,
            "lessons": [
                {
                    "start": rfc3339(x.lesson.start, zone),
                    "end": rfc3339(x.lesson.end, zone),
                    "room_id": x.lesson.room_id,
                    "kind": x.lesson.kind,
                    "content": x.lesson.content,
                    "present": x.figures.present,
                    "low": x.figures.low,
                    "high": x.figures.high,
                    "at_start": x.figures.at_start,
                    "at_end": x.figures.at_end,
                    "lesson_s": round(x.figures.lesson_s),
                    "judged_s": round(x.figures.judged_s),
                }
                for x in self.half.lessons
            ],
            "curve": [
                {
                    "start": rfc3339(b.start, zone),
                    "end": rfc3339(b.end, zone),
                    "present": b.present,
                    "low": b.low,
                    "high": b.high,
                }
                for b in self.half.curve
            ],
            "findings": [
                {
                    "kind": f.kind,
                    "start": rfc3339(f.start, zone),
                    "end": rfc3339(f.end, zone),
                    "seconds": round(f.seconds),
                }
                for f in self.findings
            ],
        }


def shown(catalog: Catalog, cls: TrainingClass, day: date, session: Session, now: datetime, rules: Rules) -> Shown:
    """Judge a half-day and combine it with what was published."""
    looks = catalog.looks.of_half_day(cls.class_id, day, session)
    half = judge(cls, day, session, looks, now, rules)
    published = catalog.attendance.get(cls.class_id, day, session)
    return Shown(half, published or as_object(half, status_of(half, None), 0), curve_findings.findings(half, rules))
