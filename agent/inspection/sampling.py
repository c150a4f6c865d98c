"""Random moments of a class's lesson time, by the rule that box and board share (`agent/core/sampling.py`).

The population is the class's lessons that were not cancelled, sorted by start and room; the scope is the class ID.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta

from agent.core.class_model import Lesson
from agent.core.sampling import draw_from
from agent.inspection.cut import ClipSpan


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
    population = [(lesson, (span.start, span.end)) for lesson, span in lessons]
    found = draw_from(population, class_id, count, seconds, seed, lambda lesson: lesson.room_id)
    return [SampledMoment(x.draw, x.item, ClipSpan(x.start, x.end)) for x in found]
