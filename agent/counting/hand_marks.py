"""What an operator marks on the looks of a camera: wrong boxes and people without a box. Pure.

From the marks of three looks come the things that are to be counted out, the people who were taken for things, and the numbers
of people from which the camera's recall is fitted (calibrate.py).
"""

from __future__ import annotations

import json
import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from agent.core import clock as clocks
from agent.core.model import Look, PlaceSighting

MARKED_LOOKS = 3
MOST_MISSED = 200
MOST_UNPLACED = 500
_REACH_PX = 6.0
Point = tuple[float, float]


@dataclass(frozen=True, slots=True)
class MarkedLook:
    """The marks on the look at `at`.

    `wrong`: numbers of boxes that say the contrary of what is there (a thing counted as a person, a person as a thing);
    `missed`: people without a box, in pixels of the look; `unplaced`: such people whose place was not marked.
    """

    at: datetime
    wrong: frozenset[int] = frozenset()
    missed: tuple[Point, ...] = ()
    unplaced: int = 0
    done: bool = False

    def toggle(self, number: int) -> MarkedLook:
        """Mark a box as wrong, or take the mark away."""
        return replace(self, wrong=self.wrong ^ {number})

    def tap(self, look: Look, point: Point) -> MarkedLook:
        """Mark what lies under a point: a box, a mark that is taken away, else a person without a box."""
        number = find_box(look, point)
        if number is not None:
            return self.toggle(number)
        near = [p for p in self.missed if math.dist(p, point) <= _measure_head(look) / 2]
        if near:
            nearest = min(near, key=lambda p: math.dist(p, point))
            return replace(self, missed=tuple(p for p in self.missed if p != nearest))
        if len(self.missed) >= MOST_MISSED:
            return self
        return replace(self, missed=(*self.missed, (round(point[0], 1), round(point[1], 1))))

    def count_people(self, look: Look) -> int:
        """Return how many people the operator sees in the look, by the marks."""
        right = sum(is_thing(look, i) == (i in self.wrong) for i in range(len(look.boxes)))
        return right + len(self.missed) + self.unplaced


def list_boxes(look: Look) -> list[tuple[tuple[float, float, float, float, float], PlaceSighting | None]]:
    """Return the boxes of a look with their sightings; None for looks that were not joined to places."""
    seen = look.sightings or ()
    return [(box, seen[i] if i < len(seen) else None) for i, box in enumerate(look.boxes)]


def is_thing(look: Look, number: int) -> bool:
    """Return whether a box of a look is counted out as a thing."""
    return any(seen.thing for seen in (look.sightings or ())[number : number + 1])


def find_box(look: Look, point: Point) -> int | None:
    """Return the number of the box under a point, with some pixels around it; of several the one whose centre is nearest."""
    x, y = point
    reach = max(_REACH_PX, 0.12 * _measure_head(look))
    inside = [
        i for i, b in enumerate(look.boxes) if b[0] - reach <= x <= b[2] + reach and b[1] - reach <= y <= b[3] + reach
    ]
    centre = {i: ((look.boxes[i][0] + look.boxes[i][2]) / 2, (look.boxes[i][1] + look.boxes[i][3]) / 2) for i in inside}
    return min(inside, key=lambda i: math.dist(centre[i], point), default=None)


def _measure_head(look: Look) -> float:
    """Return the usual size of a head of the look in pixels."""
    sizes = [math.sqrt(max(0.0, (b[2] - b[0]) * (b[3] - b[1]))) for b in look.boxes]
    return statistics.median(sizes) if sizes else max(look.width, look.height) / 30


def choose_looks(looks: Sequence[Look]) -> list[Look]:
    """Return MARKED_LOOKS looks of one half-day that can be judged, spread over it; none if there are too few.

    Looks with a box go first: an empty room says nothing of the recall.
    """
    judged = sorted((x for x in looks if x.judged and x.width > 0), key=lambda x: x.at)
    for usable in ([x for x in judged if x.boxes], judged):
        chosen = (
            [usable[len(usable) * (2 * i + 1) // (2 * MARKED_LOOKS)] for i in range(MARKED_LOOKS)] if usable else []
        )
        if len({x.at for x in chosen}) == MARKED_LOOKS:
            return chosen
    return []


def find_thing_start(looks: Sequence[Look], place: int) -> datetime | None:
    """Return since when a place is without change, up to the newest of the looks; None if it changes there.

    `looks`: in order of time, the last one is the one that the operator looked at.
    """
    start: datetime | None = None
    for look in reversed(looks):
        seen = next((s for s in look.sightings or () if s.place == place), None)
        if seen is not None and not seen.unchanged:
            break
        if seen is not None:
            start = look.at
        elif start is None:
            return None
    return start


def dump_marks(marks: Sequence[MarkedLook]) -> str:
    """Return the marks as text, for the catalog."""
    rows = [
        {
            "at": clocks.format_utc(m.at),
            "wrong": sorted(m.wrong),
            "missed": [list(p) for p in m.missed],
            "unplaced": m.unplaced,
            "done": m.done,
        }
        for m in marks
    ]
    return json.dumps(rows)


def parse_marks(text: str | None) -> list[MarkedLook]:
    """Parse the result of `dump_marks`; nothing where there is none, or another version wrote something else."""
    try:
        return [
            MarkedLook(
                clocks.parse_time(row["at"]),
                frozenset(int(n) for n in row["wrong"]),
                tuple((float(x), float(y)) for x, y in row["missed"]),
                int(row["unplaced"]),
                bool(row["done"]),
            )
            for row in json.loads(text or "[]")
        ]
    except (ValueError, TypeError, KeyError):
        return []
