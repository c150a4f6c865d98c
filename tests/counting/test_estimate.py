"""Intervals, several looks together, polygons: tables."""

from __future__ import annotations

import pytest

from agent.core.headcounts import combine_looks
from agent.counting import estimate
from agent.counting.estimate import IntervalParameters, estimate_look

SQUARE = [(0.2, 0.2), (0.6, 0.2), (0.6, 0.6), (0.2, 0.6)]


@pytest.mark.parametrize(
    ("chances", "people"),
    [([], 0), ([0.05], 0), ([1.0] * 5, 5), ([0.9, 0.5, 0.5], 2), ([0.9, 0.3, 0.3, 0.1], 2), ([0.6], 1), ([0.4] * 4, 0)],
)
def test_people_are_the_sum_of_the_chances(chances: list[float], people: int) -> None:
    found, low, high = estimate_look(chances, IntervalParameters(sure=0.5))
    assert found == people
    assert 0 <= low <= people <= high


def test_an_empty_room_is_certain() -> None:
    assert estimate_look([], IntervalParameters()) == (0, 0, 0)


def test_weak_heads_alone_leave_the_room_empty_but_not_surely_so() -> None:
    assert estimate_look([0.4] * 4, IntervalParameters(sure=0.5)) == (0, 0, 3)
    assert estimate_look([0.6, *[0.4] * 4], IntervalParameters(sure=0.5))[0] == 2


def test_doubtful_heads_widen_the_interval() -> None:
    _, low, high = estimate_look([0.99] * 10, IntervalParameters())
    _, wide_low, wide_high = estimate_look([0.99] * 10 + [0.5] * 8, IntervalParameters())
    assert wide_high - wide_low > high - low


@pytest.mark.parametrize(
    ("figures", "expected"),
    [
        ([(5, 4, 6)], (5, 4, 6)),
        ([(10, 9, 11)] * 14 + [(40, 38, 42)], (10, 9, 11)),
        ([(12, 11, 13), (10, 9, 11)] * 5, (12, 11, 13)),
        ([(10, 9, 11)] * 3 + [(12, 11, 13)] * 2, (12, 9, 13)),
        ([(0, 0, 0)] * 4, (0, 0, 0)),
    ],
)
def test_summary_of_several_looks(figures: list[tuple[int, int, int]], expected: tuple[int, int, int]) -> None:
    """One wild look moves nothing; people hidden in some looks are seen in others."""
    assert combine_looks(figures) == expected


@pytest.mark.parametrize(
    ("point", "held"), [((0.4, 0.4), True), ((0.1, 0.4), False), ((0.4, 0.7), False), ((0.59, 0.21), True)]
)
def test_inside(point: tuple[float, float], held: bool) -> None:
    assert estimate.is_inside(SQUARE, point) is held
    assert estimate.is_inside(SQUARE[::-1], point) is held
    assert not estimate.is_inside([], point)


def test_left_out_parts() -> None:
    boxes = [(30.0, 30.0, 50.0, 50.0, 0.9), (80.0, 80.0, 90.0, 90.0, 0.8)]
    assert estimate.filter_outside(boxes, [SQUARE], 100, 100) == boxes[1:]
    assert estimate.filter_outside(boxes, [], 100, 100) == boxes
