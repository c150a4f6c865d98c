"""Combine the headcounts of several looks at the same people. Pure: the one rule for blocks, files and curves."""

from __future__ import annotations

import math
from collections.abc import Sequence

LookFigures = tuple[int, int, int]
"""(people, low, high) of one look or of several together; low <= people <= high."""


def combine_looks(figures: Sequence[LookFigures]) -> LookFigures:
    """Return (people, low, high) of several looks; at least one.

    People is the 60th percentile: a person hidden in one look is seen in another, while a false head seldom lasts. `low`
    is the median of the lows, `high` the 60th percentile of the highs: the interval is as wide as that of one look, since
    looks at one room err alike.
    """
    people = _percentile([f[0] for f in figures], 0.6)
    low = _percentile([f[1] for f in figures], 0.5)
    high = _percentile([f[2] for f in figures], 0.6)
    return people, min(people, low), max(people, high)


def _percentile(values: Sequence[int], share: float) -> int:
    """Return the nearest rank; ties go up."""
    return sorted(values)[min(len(values) - 1, math.floor(share * len(values)))]
