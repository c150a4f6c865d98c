"""Random moments: which lessons take part, in which order, and how close two moments may lie."""

from __future__ import annotations

import hashlib
from datetime import date, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest

from agent.core.class_model import Lesson
from agent.core.model import Session
from agent.inspection import sampling
from agent.inspection.cut import ClipSpan

ZONE = ZoneInfo("Asia/Shanghai")
DAY = date(2026, 9, 7)
MORNING = datetime(2026, 9, 7, 8, 0, tzinfo=ZONE)
ALL_DAY = ClipSpan(MORNING - timedelta(hours=8), MORNING + timedelta(hours=16))


def lesson(begin: float, seconds: float, room: str = "r1", cancelled: bool = False) -> Lesson:
    """A lesson that begins so many seconds after MORNING."""
    start = MORNING + timedelta(seconds=begin)
    end = start + timedelta(seconds=seconds)
    return Lesson(DAY, Session.AM, start, end, room, "theory", cancelled=cancelled)


def rooms(lessons: list[Lesson], seconds: int, within: ClipSpan = ALL_DAY) -> list[str]:
    return [found.room_id for found, _ in sampling.select_population(lessons, seconds, within)]


def test_cancelled_lessons_take_no_part() -> None:
    assert rooms([lesson(0, 3600, "gone", cancelled=True), lesson(0, 3600, "r1")], 60) == ["r1"]


def test_a_lesson_of_exactly_the_asked_length_takes_part_and_a_shorter_one_does_not() -> None:
    assert rooms([lesson(0, 60, "just"), lesson(100, 59, "short")], 60) == ["just"]
    rows = sampling.select_population([lesson(0, 60)], 60, ALL_DAY)
    (moment,) = sampling.draw_moments(rows, "C1", 1, 60, "seed")
    assert moment.span == ClipSpan(MORNING, MORNING + timedelta(seconds=60))


def test_lessons_at_the_same_time_are_in_order_of_room_and_all_in_order_of_start() -> None:
    given = [lesson(3600, 600, "r1"), lesson(0, 600, "r9"), lesson(0, 600, "r2"), lesson(0, 600, "r5")]
    assert rooms(given, 60) == rooms(given[::-1], 60) == ["r2", "r5", "r9", "r1"]


def test_the_order_of_rooms_decides_which_moment_a_number_means() -> None:
    """The published formula, by hand: 541 starts a lesson, rooms in order."""
    rows = sampling.select_population([lesson(0, 600, "r2"), lesson(0, 600, "r1")], 60, ALL_DAY)
    (moment,) = sampling.draw_moments(rows, "C1", 1, 60, "seed")
    number = int.from_bytes(hashlib.sha256(b"seed\nC1\n0").digest(), "big") % (2 * 541)
    assert moment.lesson.room_id == ("r1" if number < 541 else "r2")
    assert moment.span.start == MORNING + timedelta(seconds=number % 541)


@pytest.mark.parametrize("seed", [f"seed {i}" for i in range(20)])
def test_draws_are_numbered_from_0_and_none_is_left_out(seed: str) -> None:
    """Two lessons of three starts: the whole formula by hand, with the draws that are skipped."""
    rows = sampling.select_population([lesson(0, 3, "r1"), lesson(10, 3, "r1")], 1, ALL_DAY)
    starts = [MORNING + timedelta(seconds=x) for x in (0, 1, 2, 10, 11, 12)]
    want: list[tuple[int, datetime]] = []
    number = 0
    while len(want) < 4:
        start = starts[int.from_bytes(hashlib.sha256(f"{seed}\nC1\n{number}".encode()).digest(), "big") % 6]
        if start not in [s for _, s in want]:
            want.append((number, start))
        number += 1
    assert [(m.draw, m.span.start) for m in sampling.draw_moments(rows, "C1", 4, 1, seed)] == want


def test_only_the_part_of_a_lesson_inside_the_span_offers_starts() -> None:
    within = ClipSpan(MORNING + timedelta(seconds=100), MORNING + timedelta(seconds=200))
    ((_, part),) = sampling.select_population([lesson(0, 3600)], 60, within)
    assert part == within


@pytest.mark.parametrize("seed", ["a", "b", "c"])
def test_moments_may_lie_side_by_side(seed: str) -> None:
    """Two seconds of lesson hold two moments of one second; nothing overlaps."""
    rows = sampling.select_population([lesson(0, 2)], 1, ALL_DAY)
    found = sampling.draw_moments(rows, "C1", 2, 1, seed)
    assert sorted(m.span.start for m in found) == [MORNING, MORNING + timedelta(seconds=1)]


def test_moments_of_one_room_never_overlap_and_those_of_two_rooms_may() -> None:
    rows = sampling.select_population([lesson(0, 100, "r1"), lesson(0, 100, "r2")], 10, ALL_DAY)
    found = sampling.draw_moments(rows, "C1", 12, 10, "seed")
    assert len(found) == 12
    for room in ("r1", "r2"):
        starts = sorted(m.span.start for m in found if m.lesson.room_id == room)
        assert all(b - a >= timedelta(seconds=10) for a, b in pairwise(starts))
    assert any(
        a.lesson.room_id != b.lesson.room_id and abs(a.span.start - b.span.start) < timedelta(seconds=10)
        for a in found
        for b in found
    )


def test_more_moments_than_the_lesson_time_holds_give_none_at_once() -> None:
    rows = sampling.select_population([lesson(0, 100)], 10, ALL_DAY)
    assert sampling.draw_moments(rows, "C1", 11, 10, "seed") == []
