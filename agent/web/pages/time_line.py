"""Coordinates of the player's time line: the attendance curve, alerts, and a row for each camera, one above the other. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from agent.attendance.judge import CurveBlock
from agent.core.class_model import Lesson
from agent.web.pages.charts import ChartBar
from agent.website.curves import Axis

ALERTS = 14
CURVE = 44
NAME, BAR, SPACE = 13, 13, 3
HOURS = 16


@dataclass(frozen=True, slots=True)
class LineRow:
    """A camera's row: `name` stands at `y`, its bars below."""

    camera_id: str
    name: str
    y: int
    bars: Sequence[ChartBar]


@dataclass(frozen=True, slots=True)
class PlayerTimeLine:
    """`line` and `band` are SVG paths, `lessons` (x, width), `alerts` (x, words)."""

    height: int
    line: str
    band: str
    expected_y: float
    lessons: list[tuple[float, float]]
    alerts: list[tuple[float, str]]
    rows: list[LineRow]


def build_player_time_line(
    blocks: Sequence[CurveBlock],
    lessons: Sequence[Lesson],
    expected: int,
    axis: Axis,
    lines: Mapping[str, Sequence[ChartBar]],
    names: Mapping[str, str],
    alerts: Sequence[tuple[datetime, str]],
) -> PlayerTimeLine:
    """Place everything on one axis; `lines` are the bars by camera ID, `names` what the cameras are called."""
    most = max([expected, 5, *(b.high for b in blocks if b.high is not None)])

    def y(people: float) -> float:
        return round(ALERTS + CURVE * (1 - people / most), 1)

    line, band = [], []
    for block in blocks:
        if block.present is not None and block.low is not None and block.high is not None:
            x1, x2 = axis.x(block.start), axis.x(block.end)
            line.append(f"M{x1} {y(block.present)}H{x2}")
            band.append(f"M{x1} {y(block.low)}H{x2}V{y(block.high)}H{x1}Z")
    top = ALERTS + CURVE + SPACE
    step = NAME + BAR + SPACE
    rows = [LineRow(c, names[c], top + i * step + NAME, bars) for i, (c, bars) in enumerate(lines.items())]
    shades = [(axis.x(x.start), round(axis.x(x.end) - axis.x(x.start), 1)) for x in lessons]
    marks = [(axis.x(at), text) for at, text in alerts]
    return PlayerTimeLine(
        top + len(rows) * step + HOURS, "".join(line), "".join(band), y(expected), shades, marks, rows
    )
