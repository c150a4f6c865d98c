"""The figures of a half-day for page, API and commands: as published, with lessons, arrival curve and findings."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from agent.attendance import findings as curve_findings
from agent.attendance import publication
from agent.attendance.judge import JudgedHalfDay, JudgementRules, build_attendance_object, judge_half_day
from agent.catalog import Catalog
from agent.core.class_model import TrainingClass
from agent.core.clock import format_local
from agent.core.model import Session

if TYPE_CHECKING:
    from agent.contract.attendance import AttendanceBody, HalfDayFiguresBody


@dataclass(frozen=True, slots=True)
class HalfDayFigures:
    """A half-day's figures. `body`: the contract's object as last published, else as judged now (revision 0)."""

    half: JudgedHalfDay
    body: AttendanceBody
    findings: list[curve_findings.AttendanceFinding]

    def as_object(self, zone: ZoneInfo) -> HalfDayFiguresBody:
        """Build the contract's object with `lessons`, `curve` and `findings` added, without the sign-ins."""
        return {
            **publication.take_estimate(self.body),
            "lessons": [
                {
                    "start": format_local(x.lesson.start, zone),
                    "end": format_local(x.lesson.end, zone),
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
                    "start": format_local(b.start, zone),
                    "end": format_local(b.end, zone),
                    "present": b.present,
                    "low": b.low,
                    "high": b.high,
                }
                for b in self.half.curve
            ],
            "findings": [
                {
                    "kind": f.kind,
                    "start": format_local(f.start, zone),
                    "end": format_local(f.end, zone),
                    "seconds": round(f.seconds),
                }
                for f in self.findings
            ],
        }


def load_half_day_figures(
    catalog: Catalog, cls: TrainingClass, day: date, session: Session, now: datetime, rules: JudgementRules
) -> HalfDayFigures:
    """Judge a half-day and combine it with what was published."""
    looks = catalog.looks.of_half_day(cls.class_id, day, session)
    half = judge_half_day(cls, day, session, looks, now, rules)
    published = catalog.attendance.get(cls.class_id, day, session)
    return HalfDayFigures(
        half,
        published or build_attendance_object(half, publication.decide_status(half, None), 0),
        curve_findings.detect_findings(half, rules),
    )
