"""Lesson time: pieces in which the same lessons are under way. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import pairwise

from agent.core.class_model import Lesson

LessonPiece = tuple[datetime, datetime, list[Lesson]]
"""Start, end, and the lessons that are under way for the whole of it."""


def split_lesson_time(lessons: Sequence[Lesson]) -> list[LessonPiece]:
    """Split lesson time where any lesson begins or ends; breaks are in no piece."""
    edges = sorted({x.start for x in lessons} | {x.end for x in lessons})
    found = []
    for start, end in pairwise(edges):
        running = [x for x in lessons if x.start <= start and x.end >= end]
        if running:
            found.append((start, end, running))
    return found


def take_first(time: Sequence[LessonPiece], seconds: float) -> list[LessonPiece]:
    """Return the first `seconds` of lesson time."""
    found = []
    for start, end, running in time:
        if seconds <= 0:
            break
        until = min(end, start + timedelta(seconds=seconds))
        found.append((start, until, running))
        seconds -= (until - start).total_seconds()
    return found


def take_last(time: Sequence[LessonPiece], seconds: float) -> list[LessonPiece]:
    """Return the last `seconds` of lesson time."""
    found: list[LessonPiece] = []
    for start, end, running in reversed(time):
        if seconds <= 0:
            break
        since = max(start, end - timedelta(seconds=seconds))
        found.insert(0, (since, end, running))
        seconds -= (end - since).total_seconds()
    return found


def sum_seconds(time: Sequence[LessonPiece]) -> float:
    """Return the length of lesson time."""
    return sum((end - start).total_seconds() for start, end, _ in time)


def is_shared(room_id: str, lessons: Sequence[Lesson]) -> bool:
    """Return whether a room is in use at the same time as another room of the class."""
    mine = [x for x in lessons if x.room_id == room_id]
    return any(overlaps(x, other) for x in mine for other in lessons if other.room_id != room_id)


def overlaps(one: Lesson, two: Lesson) -> bool:
    """Return whether two lessons overlap in time."""
    return one.start < two.end and two.start < one.end
