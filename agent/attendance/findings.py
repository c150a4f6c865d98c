"""Findings on a half-day's arrival curve: begun late, ended early, empty, interrupted, too many people."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from agent.attendance.judge import CurveBlock, JudgedHalfDay, JudgementRules

FindingKind = Literal["late_start", "early_end", "empty", "interrupted", "over"]


@dataclass(frozen=True, slots=True)
class AttendanceFinding:
    """One finding and the time that it covers."""

    kind: FindingKind
    start: datetime
    end: datetime

    @property
    def seconds(self) -> float:
        return (self.end - self.start).total_seconds()


def detect_findings(half: JudgedHalfDay, rules: JudgementRules) -> list[AttendanceFinding]:
    """Detect findings, in order of time.

    Unjudged blocks are no evidence. Returns [] if the whole class is not in view (`half.base` is None).
    """
    curve = list(half.curve)
    if half.base is None or not any(b.present is not None for b in curve):
        return []
    found = _find_runs("empty", curve, lambda present: present == 0, rules.empty_s)
    begun = next((i for i, b in enumerate(curve) if _has_at_least(b, rules.begun_ratio * half.base)), None)
    found += _detect_late_start(curve, begun, rules)
    if begun is not None:
        gone = _find_last_seen(curve, rules.left_ratio * half.base)
        found += _detect_early_end(curve, gone, rules) if half.over else []
        floor = rules.left_ratio * half.base
        found += _find_runs("interrupted", curve[begun:gone], lambda present: 0 < present < floor, rules.interrupted_s)
    found += _find_runs("over", curve, lambda present: present > rules.over_ratio * (half.base or 0), rules.over_s)
    return sorted(found, key=lambda f: (f.start, f.kind))


def _has_at_least(block: CurveBlock, floor: float) -> bool:
    return block.present is not None and block.present >= floor


def _find_last_seen(curve: Sequence[CurveBlock], floor: float) -> int:
    """Return the index of the block after the last one in which the class was present."""
    return max(i for i, block in enumerate(curve) if _has_at_least(block, floor)) + 1


def _detect_late_start(
    curve: Sequence[CurveBlock], begun: int | None, rules: JudgementRules
) -> list[AttendanceFinding]:
    """Detect a late start: from the first lesson's start to the last judged block before the class had begun."""
    before = [b for b in curve[:begun] if b.present is not None]
    if not before or (begun is None and not any(b.present for b in before)):
        return []
    finding = AttendanceFinding("late_start", curve[0].start, before[-1].end)
    return [finding] if finding.seconds >= rules.late_s else []


def _detect_early_end(curve: Sequence[CurveBlock], gone: int, rules: JudgementRules) -> list[AttendanceFinding]:
    """Detect an early end: from the first judged block after the class was last seen.

    The judged time must be at least `early_s`: a short time before the camera went offline is no evidence.
    """
    after = [b for b in curve[gone:] if b.present is not None]
    if not after or sum(b.seconds for b in after) < rules.early_s:
        return []
    return [AttendanceFinding("early_end", after[0].start, curve[-1].end)]


def _find_runs(
    kind: FindingKind, curve: Sequence[CurveBlock], wanted: Callable[[int], bool], least_s: float
) -> list[AttendanceFinding]:
    """Find runs of blocks, at least `least_s` seconds of lesson time, that are all judged and `wanted`."""
    found: list[AttendanceFinding] = []
    run: list[CurveBlock] = []
    for block in [*curve, None]:
        if block is not None and block.present is not None and wanted(block.present):
            run.append(block)
            continue
        if sum(b.seconds for b in run) >= max(least_s, 1.0):
            found.append(AttendanceFinding(kind, run[0].start, run[-1].end))
        run = []
    return found
