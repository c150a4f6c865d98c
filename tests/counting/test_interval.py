"""Interval and left-out parts of one picture, with figures worked out by hand."""

from __future__ import annotations

import pytest

from agent.core import headcounts
from agent.counting import estimate
from agent.counting.estimate import IntervalParameters, estimate_look

SQUARE = [(0.2, 0.2), (0.6, 0.2), (0.6, 0.6), (0.2, 0.6)]


@pytest.mark.parametrize(
    ("chances", "doubt", "expected"),
    [
        # the spread is the root of the sum of p(1-p) and of (0.05 x people) squared; 1.5 of it to each side
        ([1.0] * 40, IntervalParameters(), (40, 37, 43)),  # root(0 + 4) = 2.000: 37.00 to 43.00
        ([0.8] * 10, IntervalParameters(), (8, 6, 10)),  # root(1.6 + 0.16) = 1.327: 6.01 to 9.99
        ([0.7] * 10, IntervalParameters(), (7, 5, 9)),  # root(2.1 + 0.1225) = 1.491: 4.76 to 9.24
        ([0.7] * 10, IntervalParameters(width=3.0), (7, 3, 11)),  # 2.53 to 11.47
        ([0.5] * 2, IntervalParameters(width=3.0), (1, 0, 3)),  # root(0.5 + 0.0025) = 0.709: -1.13 to 3.13
        ([0.1] * 30, IntervalParameters(), (0, 0, 5)),  # nobody is sure to be there, root(2.7) = 1.643: up to 5.46
        ([0.5], IntervalParameters(), (1, 0, 1)),  # root(0.25 + 0.0025) = 0.502: -0.25 to 1.25
        ([1.0] * 40, IntervalParameters(unseen=0.0), (40, 40, 40)),
        ([1.0] * 40, IntervalParameters(unseen=0.1), (40, 34, 46)),  # 4.000: 34.00 to 46.00
    ],
)
def test_the_interval_of_one_picture(
    chances: list[float], doubt: IntervalParameters, expected: tuple[int, int, int]
) -> None:
    assert estimate_look(chances, doubt) == expected


def test_a_candidate_just_as_sure_as_asked_is_a_person() -> None:
    assert estimate_look([0.7], IntervalParameters(sure=0.7))[0] == 1
    assert estimate_look([0.69], IntervalParameters(sure=0.7))[0] == 0


def test_an_interval_is_wider_where_the_network_is_less_sure_than_in_the_rooms_of_the_fit() -> None:
    doubt = IntervalParameters(0.5, 0.0, 1.0, usual_doubt=0.1, doubt_span=0.2)
    sure, half_sure, unsure = [0.9] * 10, [0.8] * 10, [0.6] * 20
    assert [round(estimate.measure_doubt(c), 3) for c in (sure, half_sure, unsure)] == [0.1, 0.2, 0.4]
    assert [doubt.widen(share) for share in (0.0, 0.1, 0.2, 0.3, 0.9)] == pytest.approx([1, 1, 1.5, 2, 2])
    # 12 people, spread root(20 x 0.24) = 2.19: once 9.81 to 14.19, twice 7.62 to 16.38
    assert estimate_look(unsure, IntervalParameters(0.5, 0.0, 1.0)) == (12, 10, 14)
    assert estimate_look(unsure, doubt) == (12, 8, 16)
    assert estimate.measure_doubt([]) == 0


def test_several_looks_stand_at_their_sixth_of_ten_the_lower_bound_at_its_middle() -> None:
    assert headcounts.combine_looks([(100 + n, n, 200 + n) for n in range(10)]) == (106, 5, 206)
    assert headcounts.combine_looks([(100 + n, n, 200 + n) for n in reversed(range(10))]) == (106, 5, 206)


def test_the_summarys_interval_holds_its_figure() -> None:
    assert headcounts.combine_looks([(5, 9, 2)]) == (5, 5, 5)


@pytest.mark.parametrize(
    ("box", "left_out"),
    [
        ((10, 30, 50, 50), True),  # its corner lies outside, its centre (30, 40) inside
        ((30, 10, 50, 50), True),
        ((50, 30, 90, 50), False),  # its corner lies inside, its centre (70, 40) outside
        ((30, 50, 50, 90), False),
        ((40, 30, 70, 50), True),  # the other corner
        ((30, 40, 50, 70), True),
        ((10, 30, 25, 50), False),
        ((30, 10, 50, 25), False),
    ],
)
def test_a_heads_centre_decides_whether_it_is_left_out(box: tuple[int, int, int, int], left_out: bool) -> None:
    found = (*map(float, box), 0.9)
    assert estimate.filter_outside([found], [SQUARE], 100, 100) == ([] if left_out else [found])
    wide = (box[0] * 2.0, float(box[1]), box[2] * 2.0, float(box[3]), 0.9)
    assert estimate.filter_outside([wide], [SQUARE], 200, 100) == ([] if left_out else [wide]), "width and height apart"


def test_each_polygon_leaves_out_its_own_part() -> None:
    triangle = [(0.7, 0.7), (1.0, 0.7), (1.0, 1.0)]
    boxes = [(30.0, 30.0, 40.0, 40.0, 0.9), (85.0, 70.0, 95.0, 80.0, 0.8), (70.0, 85.0, 80.0, 95.0, 0.7)]
    assert estimate.filter_outside(boxes, [SQUARE, triangle], 100, 100) == boxes[2:]
