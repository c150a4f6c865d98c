"""Random moments of lesson time that nobody at the site can choose and anybody can reproduce. Box and board draw by it.

The lessons of the population (over, long enough) stand in a fixed order. A lesson of L whole seconds offers L - S + 1 starts
of S seconds; the starts of all lessons are numbered from 0 through T - 1. Draw k (0, 1, 2 …) is number
`SHA-256("{seed}\\n{scope}\\n{k}") mod T`, the digest read as a big-endian integer and the text as UTF-8. The scope is the class
ID, or the day (2026-11-28) where moments are drawn over all classes of a day. A draw that would overlap an earlier one in the
same room is skipped; drawing goes on until there are N moments.
"""

from __future__ import annotations

import bisect
import hashlib
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Generic, TypeVar

from agent.core.intervals import Interval

T = TypeVar("T")
MAX_SKIPPED_DRAWS = 1000
"""Draws that may be skipped for each moment before the lesson time counts as used up."""


@dataclass(frozen=True, slots=True)
class DrawnMoment(Generic[T]):
    """One drawn moment [start, end): `draw` is k, `item` what it was drawn from."""

    draw: int
    item: T
    start: datetime
    end: datetime


def draw_from(
    population: Sequence[tuple[T, Interval]],
    scope: str,
    count: int,
    seconds: int,
    seed: str,
    place: Callable[[T], Hashable],
) -> list[DrawnMoment[T]]:
    """Return at most `count` moments in the order drawn; `place` names the room of an item.

    Fewer where the lesson time does not hold so many without overlap; an empty list at once where it is too short in total.
    """
    if count * seconds > sum((end - start).total_seconds() for _, (start, end) in population):
        return []
    offers = [int((end - start).total_seconds()) - seconds + 1 for _, (start, end) in population]
    total = sum(offers)
    found: list[DrawnMoment[T]] = []
    taken: dict[Hashable, list[datetime]] = {}
    draw = 0
    while total and len(found) < count and draw < MAX_SKIPPED_DRAWS * count:
        moment = _locate(draw, compute_number(seed, scope, draw, total), population, offers, seconds)
        starts = taken.setdefault(place(moment.item), [])
        at = bisect.bisect(starts, moment.start)
        beside = starts[max(0, at - 1) : at + 1]
        if all(abs(other - moment.start) >= timedelta(seconds=seconds) for other in beside):
            found.append(moment)
            starts.insert(at, moment.start)
        draw += 1
    return found


def compute_number(seed: str, scope: str, draw: int, total: int) -> int:
    """Return which of `total` starts a draw is."""
    return int.from_bytes(hashlib.sha256(f"{seed}\n{scope}\n{draw}".encode()).digest(), "big") % total


def _locate(
    draw: int, number: int, population: Sequence[tuple[T, Interval]], offers: Sequence[int], seconds: int
) -> DrawnMoment[T]:
    """Return the moment that begins at start `number` of all lessons; `offers[i]` is how many starts item i offers."""
    for (item, (begin, _)), offer in zip(population, offers, strict=True):
        if number < offer:
            start = begin + timedelta(seconds=number)
            return DrawnMoment(draw, item, start, start + timedelta(seconds=seconds))
        number -= offer
    raise AssertionError("a number below the total lies in one of the lessons")
