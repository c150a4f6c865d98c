"""A photograph before the lens: likely heads of which none moves any more, all since the same time.

Two ways lead to it. Heads in new places become things ten minutes later, together. Heads in places where people moved before
become things only after thirty minutes, since one person may sleep; that all of a class stop moving at once for ten minutes
needs no such margin. A photograph shows as many people as were there, an empty room with coats fewer: heads of that second
kind must be at least half as many as those before.
"""

from __future__ import annotations

import statistics
from collections import deque
from collections.abc import Sequence
from datetime import datetime, timedelta

from agent.counting import liveness
from agent.counting.liveness import LivenessFinding
from agent.counting.places import THING_AFTER, CameraPlaces, KnownThing

LIKELY = 0.6
"""Probability from which a candidate takes part in liveness."""
TOGETHER = timedelta(minutes=5)
LEAST_SHARE_OF_BEFORE, BEFORE = 0.5, timedelta(minutes=15)
MOST_LIVING_SHARE = 0.1
"""Share of the looks since then in which a likely head elsewhere may have moved: a box on no head that comes and goes."""
_MOST_LOOKS = 400


class PhotographWatch:
    """The places of one camera, asked at each look whether they show a photograph."""

    def __init__(self) -> None:
        self._found: list[KnownThing] = []
        self._looks: deque[tuple[datetime, frozenset[int]]] = deque(maxlen=_MOST_LOOKS)

    def feed(
        self, places: CameraPlaces, found: Sequence[KnownThing], seen: frozenset[int], at: datetime
    ) -> LivenessFinding | None:
        """Add a look; return a finding if it shows a photograph.

        `found`: things that it found; `seen`: the places of its likely heads, without things.
        """
        self._looks.append((at, seen))
        likely = {p.place_id for p in places.places if p.chance >= LIKELY}
        stay = {id(p.thing) for p in places.places if p.thing is not None}
        # a thing that was known before and is seen again says nothing about today's picture
        new = [t for t in found if t.place_id in likely and at - t.start >= THING_AFTER]
        things = [t for t in self._found if id(t) in stay] + new
        still = places.list_still(at)
        starts = [t.start for t in things] + [start for place, start in still.items() if place in likely]
        newest = max(starts, default=at)
        self._found = [t for t in things if newest - t.start <= TOGETHER]
        starts = [s for s in starts if newest - s <= TOGETHER]
        unmoved = {p.place_id for p in places.places if p.thing is not None} | still.keys()
        if len(self._found) < liveness.PHOTOGRAPH_HEADS and len(starts) < LEAST_SHARE_OF_BEFORE * self._count(newest):
            return None
        since = [places_seen - unmoved for moment, places_seen in self._looks if moment > newest]
        living = sum(map(bool, since)) > MOST_LIVING_SHARE * len(since) or bool(seen - unmoved)
        return liveness.find_photograph([s.timestamp() for s in starts], int(living), at.timestamp())

    def _count(self, until: datetime) -> float:
        """Return how many likely heads the looks of the quarter of an hour before showed (median)."""
        before = [len(places_seen) for moment, places_seen in self._looks if until - BEFORE <= moment < until]
        return statistics.median(before) if before else 0.0
