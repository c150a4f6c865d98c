"""Headcount with interval from probabilities, and exclusion of parts of the picture. Pure, standard library only.

What several looks say together is in agent/core/headcounts.py.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

Point = tuple[float, float]
Polygon = Sequence[Point]
Box = tuple[float, float, float, float, float]


@dataclass(frozen=True, slots=True)
class IntervalParameters:
    """Parameters of the interval of a count (fitted, see docs/reference/counting.md).

    `sure`: a picture without a candidate of at least this probability is empty; `unseen`: additional standard deviation, as a
    share of the count, that the probabilities do not show; `width`: half-width of the interval in standard deviations.
    `usual_doubt`: share of doubt in the count (`measure_doubt`) up to which pictures are like those of the fit; beyond it the
    half-width grows, to twice as much at `doubt_span` more.
    """

    sure: float = 0.5
    unseen: float = 0.05
    width: float = 1.5
    usual_doubt: float = 1.0
    doubt_span: float = 1.0

    def widen(self, doubt: float) -> float:
        """Return the factor for the half-width in a picture with this share of doubt: 1 to 2."""
        return 1 + min(1.0, max(0.0, doubt - self.usual_doubt) / self.doubt_span)


def measure_doubt(chances: Sequence[float]) -> float:
    """Return the variance of the count over the count, 0 to 1: how unsure the network is of what it sees.

    In rooms like those of the fit nearly all candidates are either surely heads or surely none.
    """
    return sum(p * (1 - p) for p in chances) / max(1.0, sum(chances))


def estimate_look(chances: Sequence[float], doubt: IntervalParameters) -> tuple[int, int, int]:
    """Return (people, low, high) of one picture from the probabilities of all candidates, weak ones included.

    `people` is their sum, rounded: two candidates with a probability of 0.5 count as one person, where a threshold would
    count none or two. low <= people <= high.
    """
    total = sum(chances)
    people = math.floor(total + 0.5) if max(chances, default=0.0) >= doubt.sure else 0
    spread = math.sqrt(sum(p * (1 - p) for p in chances) + (doubt.unseen * people) ** 2)
    reach = doubt.width * doubt.widen(measure_doubt(chances)) * spread
    # bounds are rounded to whole people: an empty room without candidates stays 0 to 0
    low, high = math.ceil(total - reach - 0.5), math.floor(total + reach + 0.5)
    return people, max(0, min(people, low)), max(people, high)


def is_inside(polygon: Polygon, point: Point) -> bool:
    """Return whether the point is inside (even-odd rule); a polygon of fewer than three corners contains nothing."""
    x, y = point
    odd = False
    for (x1, y1), (x2, y2) in zip(polygon, [*polygon[1:], polygon[0]] if polygon else [], strict=True):
        if (y1 > y) != (y2 > y) and x < x1 + (y - y1) * (x2 - x1) / (y2 - y1):
            odd = not odd
    return odd


def filter_outside(boxes: Sequence[Box], polygons: Sequence[Polygon], width: int, height: int) -> list[Box]:
    """Return the boxes whose centre is in none of the polygons.

    `boxes`: x1 y1 x2 y2 score, in pixels; `polygons`: corners in parts of width and height, 0 to 1.
    """
    return [
        b
        for b in boxes
        if not any(is_inside(p, ((b[0] + b[2]) / 2 / width, (b[1] + b[3]) / 2 / height)) for p in polygons)
    ]
