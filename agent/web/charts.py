"""Coordinates of the attendance curve and the time lines, which templates draw as SVG. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from agent.attendance.judge import Block
from agent.intervals import bridged
from agent.model import Gap, Segment
from agent.model_classes import Lesson

WIDTH = 1000
LEFT = 46
HEIGHT = 220
TOP, BOTTOM = 14, 24
STEP = timedelta(minutes=5)
"""One link of a time line: where a click begins to play."""
_JOIN = timedelta(seconds=1) - timedelta.resolution
"""Pauses between segments up to this length are drawn as none."""


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


@dataclass(frozen=True, slots=True)
class Bar:
    """A stretch of a time line; `at` is its local time HH:MM:SS; `text` says it in words."""

    x: float
    width: float
    kind: str
    at: str
    text: str


def axis(lessons: Sequence[Lesson], margin: timedelta) -> Axis:
    return Axis(min(x.start for x in lessons) - margin, max(x.end for x in lessons) + margin)


def curve(blocks: Sequence[Block], lessons: Iterable[Lesson], expected: int, time: Axis) -> Curve:
    most = max([expected, 5, *(b.high for b in blocks if b.high is not None)])
    top = (most // 5 + 1) * 5  # space for the line's name

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


def time_line(
    segments: Iterable[Segment], gaps: Iterable[tuple[Gap, str]], time: Axis, zone: ZoneInfo, now: datetime
) -> list[Bar]:
    """Video in links of five minutes, gaps with their reasons in words."""
    bars = []
    for start, end in bridged(sorted((s.start, s.end or now) for s in segments), _JOIN):
        at = max(start, time.start)
        until = min(end, time.end)
        while at < until:
            mark = at.astimezone(zone)
            step = mark.replace(minute=mark.minute // 5 * 5, second=0, microsecond=0) + STEP
            stop = min(until, step)
            bars.append(_bar(at, stop, "video", f"{mark:%H:%M:%S}", time, zone))
            at = stop
    for gap, reason in gaps:
        bars.append(_bar(gap.start, gap.end, "gap", reason, time, zone))
    return bars


def _bar(start: datetime, end: datetime, kind: str, text: str, time: Axis, zone: ZoneInfo) -> Bar:
    x = time.x(start)
    local = start.astimezone(zone)
    return Bar(x, round(max(0.5, time.x(end) - x), 1), kind, f"{local:%H:%M:%S}", text)
