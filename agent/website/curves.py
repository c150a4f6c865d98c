"""Coordinates of the attendance curve, which templates of page and board draw as SVG. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol
from zoneinfo import ZoneInfo

WIDTH = 1000
LEFT = 46
HEIGHT = 220
TOP, BOTTOM = 14, 24


class LessonSpan(Protocol):
    """A lesson as far as the curve needs it."""

    @property
    def start(self) -> datetime: ...
    @property
    def end(self) -> datetime: ...


class CurveSpan(LessonSpan, Protocol):
    """People over a stretch of time; None where they could not be judged."""

    @property
    def present(self) -> float | None: ...
    @property
    def low(self) -> float | None: ...
    @property
    def high(self) -> float | None: ...


@dataclass(frozen=True, slots=True)
class Axis:
    """The time axis."""

    start: datetime
    end: datetime

    def x(self, moment: datetime) -> float:
        part = (moment - self.start) / (self.end - self.start)
        return round(LEFT + min(1.0, max(0.0, part)) * (WIDTH - LEFT - 4), 1)

    def hours(self, zone: ZoneInfo) -> list[tuple[float, str]]:
        """Return (x, label) for every half hour."""
        local = self.start.astimezone(zone)
        at = local.replace(minute=local.minute // 30 * 30, second=0, microsecond=0)
        marks = []
        while at <= self.end:
            if at >= self.start:
                marks.append((self.x(at), f"{at:%H:%M}"))
            at += timedelta(minutes=30)
        return marks


@dataclass(frozen=True, slots=True)
class Curve:
    """The attendance curve: `line` and `band` (low to high) are SVG paths, `levels` (y, people) the grid."""

    line: str
    band: str
    expected_y: float
    levels: list[tuple[float, int]]
    lessons: list[tuple[float, float]]


def build_axis(lessons: Sequence[LessonSpan], margin: timedelta) -> Axis:
    """Return the axis from the first lesson to the last, with a margin on either side."""
    return Axis(min(x.start for x in lessons) - margin, max(x.end for x in lessons) + margin)


def build_curve(blocks: Sequence[CurveSpan], lessons: Iterable[LessonSpan], expected: int, time: Axis) -> Curve:
    """Return the paths of the estimate over time, the expected headcount and the lessons."""
    most = max([expected, 5, *(b.high for b in blocks if b.high is not None)])
    top = int(most // 5 + 1) * 5  # space for the line's name

    def y(people: float) -> float:
        return round(HEIGHT - BOTTOM - people / top * (HEIGHT - TOP - BOTTOM), 1)

    line, band = [], []
    for block in blocks:
        if block.present is None or block.low is None or block.high is None:
            continue
        x1, x2 = time.x(block.start), time.x(block.end)
        line.append(f"M{x1} {y(block.present)}H{x2}")
        band.append(f"M{x1} {y(block.low)}H{x2}V{y(block.high)}H{x1}Z")
    step = max(5, top // 4 // 5 * 5)
    levels = [(y(n), n) for n in range(0, top + 1, step)]
    shades = [(time.x(x.start), round(time.x(x.end) - time.x(x.start), 1)) for x in lessons]
    return Curve("".join(line), "".join(band), y(expected), levels, shades)
