"""Coordinates of the time lines of recordings, which templates draw as SVG. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from agent.core.intervals import bridge_pauses
from agent.core.model import Gap, Segment
from agent.website.curves import Axis

STEP = timedelta(minutes=5)
"""One link of a time line: where a click begins to play."""
_JOIN = timedelta(seconds=1) - timedelta.resolution
"""Pauses between segments up to this length are drawn as none."""


@dataclass(frozen=True, slots=True)
class ChartBar:
    """A stretch of a time line; `at` is its local time HH:MM:SS; `text` says it in words."""

    x: float
    width: float
    kind: str
    at: str
    text: str


def build_time_line(
    segments: Iterable[Segment], gaps: Iterable[tuple[Gap, str]], time: Axis, zone: ZoneInfo, now: datetime
) -> list[ChartBar]:
    """Video in links of five minutes, gaps with their reasons in words."""
    bars = []
    for start, end in bridge_pauses(sorted((s.start, s.end or now) for s in segments), _JOIN):
        at = max(start, time.start)
        until = min(end, time.end)
        while at < until:
            mark = at.astimezone(zone)
            step = mark.replace(minute=mark.minute // 5 * 5, second=0, microsecond=0) + STEP
            stop = min(until, step)
            bars.append(_build_bar(at, stop, "video", f"{mark:%H:%M:%S}", time, zone))
            at = stop
    for gap, reason in gaps:
        bars.append(_build_bar(gap.start, gap.end, "gap", reason, time, zone))
    return bars


def _build_bar(start: datetime, end: datetime, kind: str, text: str, time: Axis, zone: ZoneInfo) -> ChartBar:
    x = time.x(start)
    local = start.astimezone(zone)
    return ChartBar(x, round(max(0.5, time.x(end) - x), 1), kind, f"{local:%H:%M:%S}", text)
