"""Coordinates of a card's curve, which the template draws as SVG. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from agent.core.clock import parse_time
from board.queries.county_day import BoxFigures, ClassNow
from board.queries.overview import CurvePoint

WIDTH, HEIGHT, TOP, BOTTOM, RIGHT = 320, 84, 12, 18, 8
_SHORTEST = timedelta(minutes=30)


@dataclass(frozen=True, slots=True)
class CardCurve:
    """`line` and `band` (low to high) are SVG paths; `hours` (x, label) the axis; `end` the newest point, for a dot.

    `text` holds first and last time and headcount, least and most, for whoever does not see the curve.
    """

    line: str
    band: str
    expected_y: float | None
    hours: list[tuple[float, str]]
    lessons: list[tuple[float, float]]
    end: tuple[float, float]
    text: dict[str, object]


def draw_curve(
    item: ClassNow, figures: BoxFigures, reported: Sequence[CurvePoint], now: datetime, zone: ZoneInfo
) -> CardCurve | None:
    """Return the curve of a half-day so far at one box, by its revisions; None where nothing could be judged."""
    points = [(parse_time(p.at), p) for p in reported if p.present is not None]
    if not points:
        return None
    expected = figures.card.expected
    start = min(points[0][0], item.plan.start if item.plan else points[0][0])
    end = item.plan.end if item.plan else max(now, start + _SHORTEST)
    end = max(end, points[-1][0], start + timedelta(minutes=1))
    most = max([expected or 0, 5, *(p.high or p.present or 0 for _, p in points)])

    def x(at: datetime) -> float:
        return round(max(0.0, min(1.0, (at - start) / (end - start))) * (WIDTH - RIGHT) + 2, 1)

    def y(people: float) -> float:
        return round(HEIGHT - BOTTOM - people / most * (HEIGHT - TOP - BOTTOM), 1)

    until = [at for at, _ in points[1:]] + [min(end, max(figures.at, points[-1][0]))]
    line, band = "", ""
    for (at, point), stop in zip(points, until, strict=True):
        present = point.present or 0
        line += f"{'L' if line else 'M'}{x(at)} {y(present)}H{x(stop)}"
        if point.low is not None and point.high is not None:
            band += f"M{x(at)} {y(point.low)}H{x(stop)}V{y(point.high)}H{x(at)}Z"
    counts = [p.present or 0 for _, p in points]
    first, last = (f"{at.astimezone(zone):%H:%M}" for at in (points[0][0], points[-1][0]))
    return CardCurve(
        line=line,
        band=band,
        expected_y=None if expected is None else y(expected),
        hours=_mark_hours(start, end, zone, x),
        lessons=[(x(a), round(x(b) - x(a), 1)) for a, b in merge(item.plan.lessons if item.plan else ())],
        end=(x(until[-1]), y(counts[-1])),
        text={
            "first": first,
            "began": counts[0],
            "last": last,
            "now": counts[-1],
            "least": min(counts),
            "most": max(counts),
        },
    )


def merge(lessons: Sequence[tuple[datetime, datetime]]) -> list[tuple[datetime, datetime]]:
    """Return the stretches of lesson time; lessons in several rooms at once are one stretch."""
    found: list[tuple[datetime, datetime]] = []
    for start, end in sorted(lessons):
        if found and start <= found[-1][1]:
            found[-1] = (found[-1][0], max(end, found[-1][1]))
        else:
            found.append((start, end))
    return found


def _mark_hours(
    start: datetime, end: datetime, zone: ZoneInfo, x: Callable[[datetime], float]
) -> list[tuple[float, str]]:
    """Return whole hours, or half ones where less than two hours are drawn; labels do not run out at the sides."""
    step = timedelta(minutes=60 if end - start > timedelta(hours=2) else 30)
    at = start.astimezone(zone).replace(minute=0, second=0, microsecond=0)
    found = []
    while at <= end:
        if at >= start and 14 <= x(at) <= WIDTH - 16:
            found.append((x(at), f"{at:%H:%M}"))
        at += step
    return found
