"""From scores to a headcount with an interval, and parts of the picture that are left out. Pure, standard library only.

What several looks say together is in agent/headcounts.py.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

Point = tuple[float, float]
Polygon = Sequence[Point]
Box = tuple[float, float, float, float, float]


@dataclass(frozen=True, slots=True)
class Doubt:
    """How far a sum of probabilities can be believed (fitted, see docs/counting.md). `sure`: a picture in which no candidate
    is a person with this probability is empty; `unseen`: the spread, as a share of the count, that no candidate shows;
    `width`: how many standard deviations the interval spans to each side."""

    sure: float = 0.5
    unseen: float = 0.05
    width: float = 1.5


def look_interval(chances: Sequence[float], doubt: Doubt) -> tuple[int, int, int]:
    """(people, low, high) of one picture from the probabilities of all candidates, weak ones included.

    `people` is their sum, rounded: two heads of which each is there with probability 0.5 are one person, where a threshold
    would see none or two. low <= people <= high.
    """
    total = sum(chances)
    people = math.floor(total + 0.5) if max(chances, default=0.0) >= doubt.sure else 0
    spread = math.sqrt(sum(p * (1 - p) for p in chances) + (doubt.unseen * people) ** 2)
    reach = doubt.width * spread
    # half a person is no person: an empty room with no candidate stays 0 to 0
    low, high = math.ceil(total - reach - 0.5), math.floor(total + reach + 0.5)
    return people, max(0, min(people, low)), max(people, high)


def inside(polygon: Polygon, point: Point) -> bool:
    """Even-odd rule; a polygon of fewer than three corners holds nothing."""
    x, y = point
    odd = False
    for (x1, y1), (x2, y2) in zip(polygon, [*polygon[1:], polygon[0]] if polygon else [], strict=True):
        if (y1 > y) != (y2 > y) and x < x1 + (y - y1) * (x2 - x1) / (y2 - y1):
            odd = not odd
    return odd


def outside(boxes: Sequence[Box], polygons: Sequence[Polygon], width: int, height: int) -> list[Box]:
    """Boxes (x1 y1 x2 y2 score, pixels) whose centre lies in none of the polygons (parts of width and height, 0 to 1)."""
    return [
        b
        for b in boxes
        if not any(inside(p, ((b[0] + b[2]) / 2 / width, (b[1] + b[3]) / 2 / height)) for p in polygons)
    ]
