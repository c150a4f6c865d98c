"""What `training/fit_calibration.py` learns from: which candidates are people, and when a room is empty."""

from __future__ import annotations

import importlib.util
import sys
from typing import Any

import numpy as np
import pytest

from agent.counting.detector import Heads
from agent.counting.estimate import IntervalParameters, estimate_look, measure_doubt
from tests.support.paths import ROOT

SCRIPT = ROOT / "training" / "fit_calibration.py"


@pytest.fixture(scope="module")
def tune() -> Any:
    spec = importlib.util.spec_from_file_location("tune", SCRIPT)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["tune"] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


def found(*boxes: tuple[int, int, int, int]) -> Heads:
    return Heads(np.array(boxes, np.float32), np.linspace(0.9, 0.5, len(boxes), dtype=np.float32))


@pytest.mark.parametrize(
    ("box", "is_people"),
    [
        ((120, 102, 160, 150), True),  # at the top of the body
        ((120, 300, 160, 350), False),  # a knee
        ((300, 102, 340, 150), False),  # beside it
    ],
)
def test_a_head_is_in_the_upper_part_of_a_person(tune: Any, box: tuple[int, int, int, int], is_people: bool) -> None:
    entry = {"box_type": "person", "boxes": [[100, 100, 180, 400]]}
    assert tune.match_people(entry, found(box)).tolist() == [is_people]


def test_the_edge_may_leave_little_more_of_a_person_than_the_head(tune: Any) -> None:
    entry = {"box_type": "person", "boxes": [[700, 940, 860, 1080]]}
    assert tune.match_people(entry, found((730, 955, 835, 1080))).tolist() == [True]


@pytest.mark.parametrize(("kind", "box"), [("head", [100, 100, 150, 150]), ("person", [100, 100, 150, 300])])
def test_one_person_is_one_head(tune: Any, kind: str, box: list[int]) -> None:
    twice = found((100, 100, 150, 150), (103, 103, 153, 153))
    assert tune.match_people({"box_type": kind, "boxes": [box]}, twice).tolist() == [True, False]
    assert tune.match_people({"box_type": kind, "boxes": []}, twice).tolist() == [False, False]


def test_a_room_is_empty_where_the_surest_is_nearer_to_a_false_head_than_to_a_lone_person(tune: Any) -> None:
    doubt = tune.fit_interval_parameters([[0.57], [0.82], [0.97]], np.array([0, 1, 1]))
    assert doubt.sure == 0.7


def test_the_width_holds_nine_in_ten_of_the_counts(tune: Any) -> None:
    """Four candidates of 0.5: a sum of 2 with a standard deviation of 1; bounds are rounded to whole people."""
    chances, held = [[0.5] * 4 for _ in range(20)], [2] * 17
    # the least widths that hold these three: 0.5, 1.5, 4.5; of twenty pictures one may be outside
    assert tune.fit_interval_parameters(chances, np.array([*held, 3, 0, 7])).width == 1.5
    assert tune.fit_interval_parameters(chances, np.array([*held, 2, 2, 7])).width == 0
    # of ten none may: one is more than a tenth of all pictures and the next
    assert tune.fit_interval_parameters(chances[:10], np.array([*held[:9], 7])).width == 4.5
    assert estimate_look([0.5] * 4, IntervalParameters(0.3, 0, 1.5)) == (2, 0, 4)


def test_no_width_holds_people_of_whom_nothing_was_seen(tune: Any) -> None:
    doubt = IntervalParameters(sure=0.5)
    assert tune.compute_wanted_width([], 3, doubt) == tune.MOST_WIDTH
    assert tune.compute_wanted_width([], 0, doubt) == 0
    assert tune.compute_wanted_width([0.1] * 6, 0, doubt) == 0, "nobody is sure to be there, and nobody is"


def test_what_doubt_is_usual_is_read_off_the_pictures(tune: Any) -> None:
    chances = [[0.98, 0.02 + 0.001 * n] for n in range(60)]
    found = tune.fit_interval_parameters(chances, np.array([1] * 60))
    shares = [measure_doubt(c) for c in chances]
    assert shares[57] < found.usual_doubt < shares[59] and found.usual_doubt - found.doubt_span < shares[3]
    # three missing people are held by half the width in a picture with twice the half-width
    strange = IntervalParameters(0.5, 0.0, 1.0, 0.1, 0.2)
    assert tune.compute_wanted_width([0.5] * 4, 5, strange) == 0.5 * tune.compute_wanted_width(
        [0.5] * 4, 5, IntervalParameters(0.5)
    )


def test_pictures_of_one_room_are_left_out_together(tune: Any) -> None:
    scenes = ["hall, room 1", "hall, room 2", "web photo", "hall, room 1", *["web photo"] * 12]
    rooms = tune.name_rooms(scenes)
    assert rooms[0] == rooms[3] != rooms[1]
    assert len(set(rooms[4:].tolist())) == tune.PARTS


def test_a_room_is_counted_by_a_fit_that_never_saw_it(tune: Any) -> None:
    """In the room left out scores mean the opposite: a fit that had seen it would be wrong in the others."""

    def picture(sign: int) -> Any:
        scores = np.array([2.0, 1.0, -1.0, -2.0])
        figures = np.zeros((4, 6))
        figures[:, 0], figures[:, 1] = 1, scores
        return tune.PictureSample(figures, sign * scores > 0, 2)

    rooms = np.array(["a"] * 6 + ["b"] * 6 + ["odd"] * 2)
    said = tune.compute_left_out([picture(1)] * 12 + [picture(-1)] * 2, rooms)
    assert said[13][0] > 0.9 and said[13][3] < 0.1
    rows = tune.cross_validate([picture(1)] * 12 + [picture(-1)] * 2, rooms)
    assert rows.shape == (14, 3) and (rows[:, 0] == 2).all()


def test_only_some_features_get_a_weight(tune: Any) -> None:
    figures = np.random.default_rng(0).normal(size=(60, 6))
    figures[:, 0] = 1
    told = tune.fit_scoring_weights([tune.PictureSample(figures, figures[:, 1] > 0, 30)])
    assert told.size == 0 and told.smaller == 0 and told.score > 0
