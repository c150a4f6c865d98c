"""Combine the headcounts of several looks at the same people. Pure: the one rule for blocks, files and curves."""

from __future__ import annotations

import itertools
import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from agent.core.model import Look, PlaceSighting

LookFigures = tuple[int, int, int]
"""(people, low, high) of one look or of several together; low <= people <= high."""
SEEN = 0.4
"""A place in which a look sees somebody with at least this probability is filled in between two such looks."""


@dataclass(frozen=True, slots=True)
class PlacedLook:
    """What one look says: its own figures, and the probability of a person in each place.

    `sure`: a room in which no place reaches this probability in any look is empty; `recall`: share of the people in the room
    that the camera finds.
    """

    figures: LookFigures
    sightings: Sequence[PlaceSighting] | None = None
    sure: float = 0.0
    recall: float = 1.0

    @staticmethod
    def of(look: Look) -> PlacedLook:
        """Take it from a stored look."""
        measures = look.quality
        return PlacedLook(
            (look.people, look.low, look.high), look.sightings, measures.get("sure", 0.0), measures.get("recall", 1.0)
        )


def combine_placed(looks: Sequence[PlacedLook]) -> LookFigures:
    """Return (people, low, high) of several looks; at least one.

    If all looks were joined to places, people is the median over the looks of the sum over the places: things are left out,
    and a person whom some looks do not see is there in all looks from the first to the last that do. The interval is as far
    below and above as those of single looks are (median of the lows, 60th percentile of the highs), since looks at one room
    err alike. Looks without places are combined by their figures alone.
    """
    joined = [x.sightings for x in looks if x.sightings is not None]
    if len(joined) < len(looks):
        return combine_looks([x.figures for x in looks])
    chances = _fill_places(joined)
    best = max((max(row.values(), default=0.0) for row in chances), default=0.0)
    total = statistics.median(sum(row.values()) / max(x.recall, 0.1) for row, x in zip(chances, looks, strict=True))
    people = math.floor(total + 0.5) if best >= max(x.sure for x in looks) else 0
    down = _percentile([x.figures[0] - x.figures[1] for x in looks], 0.5)
    up = _percentile([x.figures[2] - x.figures[0] for x in looks], 0.6)
    return people, max(0, people - max(0, down)), people + max(0, up)


def _fill_places(looks: Sequence[Sequence[PlaceSighting]]) -> list[dict[int, float]]:
    """Return the probability of a person in each place for each look, things left out, gaps between sightings filled."""
    rows = [{s.place: s.chance for s in seen if not s.thing} for seen in looks]
    things = [{s.place for s in seen if s.thing} for seen in looks]
    for place in {p for row in rows for p in row}:
        seen = [i for i, row in enumerate(rows) if row.get(place, 0.0) >= SEEN]
        for first, last in itertools.pairwise(seen):
            between = min(rows[first][place], rows[last][place])
            for i in range(first + 1, last):
                if place not in things[i]:
                    rows[i][place] = max(between, rows[i].get(place, 0.0))
    return rows


def combine_looks(figures: Sequence[LookFigures]) -> LookFigures:
    """Return (people, low, high) of several looks that were not joined to places; at least one.

    People is the 60th percentile: a person hidden in one look is seen in another, while a false head seldom lasts. `low`
    is the median of the lows, `high` the 60th percentile of the highs.
    """
    people = _percentile([f[0] for f in figures], 0.6)
    low = _percentile([f[1] for f in figures], 0.5)
    high = _percentile([f[2] for f in figures], 0.6)
    return people, min(people, low), max(people, high)


def _percentile(values: Sequence[int], share: float) -> int:
    """Return the nearest rank; ties go up."""
    return sorted(values)[min(len(values) - 1, math.floor(share * len(values)))]
