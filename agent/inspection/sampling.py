"""Random moments of lesson time that nobody at the site can choose and anybody can reproduce.

The lessons of the population (not cancelled, over, long enough) are sorted by start and room. A lesson of L whole seconds
offers L - S + 1 starts of S seconds; the starts of all lessons are numbered from 0 through T - 1. Draw k (0, 1, 2 …) is number
`SHA-256("{seed}\\n{class_id}\\n{k}") mod T`, the digest read as a big-endian integer and the text as UTF-8. A draw that would
overlap an earlier one in the same room is skipped; drawing goes on until there are N moments.
"""

from __future__ import annotations

import bisect
import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from agent.core.class_model import Lesson
from agent.inspection.cut import ClipSpan

MAX_SKIPPED_DRAWS = 1000
"""Draws that may be skipped for each moment before the lesson time counts as used up."""


@dataclass(frozen=True, slots=True)
class SampledMoment:
    """One drawn moment: `draw` is k, `lesson` the one that contains it."""

    draw: int
    lesson: Lesson
    span: ClipSpan


def select_population(lessons: Iterable[Lesson], seconds: int, within: ClipSpan) -> list[tuple[Lesson, ClipSpan]]:
    """Return the lessons that offer a start of `seconds` seconds inside `within`, with the part of them that lies there."""
    found = []
    for lesson in sorted(lessons, key=lambda x: (x.start, x.room_id)):
        start, end = max(lesson.start, within.start), min(lesson.end, within.end)
        if not lesson.cancelled and end - start >= timedelta(seconds=seconds):
            found.append((lesson, ClipSpan(start, end)))
    return found


def draw_moments(
    lessons: Sequence[tuple[Lesson, ClipSpan]], class_id: str, count: int, seconds: int, seed: str
) -> list[SampledMoment]:
    """Return at most `count` moments in the order drawn.

    Fewer where the lesson time does not hold so many without overlap; an empty list at once where it is too short in total.
    """
    if count * seconds > sum(span.seconds for _, span in lessons):
        return []
    offers = [int(span.seconds) - seconds + 1 for _, span in lessons]
    total = sum(offers)
    found: list[SampledMoment] = []
    taken: dict[str, list[datetime]] = {}
    draw = 0
    while total and len(found) < count and draw < MAX_SKIPPED_DRAWS * count:
        number = int.from_bytes(hashlib.sha256(f"{seed}\n{class_id}\n{draw}".encode()).digest(), "big") % total
        moment = _locate_moment(draw, number, lessons, offers, seconds)
        starts = taken.setdefault(moment.lesson.room_id, [])
        place = bisect.bisect(starts, moment.span.start)
        beside = starts[max(0, place - 1) : place + 1]
        if all(abs(other - moment.span.start) >= timedelta(seconds=seconds) for other in beside):
            found.append(moment)
            starts.insert(place, moment.span.start)
        draw += 1
    return found


def _locate_moment(
    draw: int, number: int, lessons: Sequence[tuple[Lesson, ClipSpan]], offers: Sequence[int], seconds: int
) -> SampledMoment:
    """Return the moment that begins at start `number` of all lessons; `offers[i]` is how many starts `lessons[i]` offers."""
    for (lesson, span), offer in zip(lessons, offers, strict=True):
        if number < offer:
            start: datetime = span.start + timedelta(seconds=number)
            return SampledMoment(draw, lesson, ClipSpan(start, start + timedelta(seconds=seconds)))
        number -= offer
    raise AssertionError("a number below the total lies in one of the lessons")
