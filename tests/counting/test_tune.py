"""What `training/fit_calibration.py` learns from: which candidates are people, and when a room is empty."""

from __future__ import annotations

import importlib.util
import sys
from typing import Any

import numpy as np
import pytest

from agent.counting.detector import Heads
from agent.counting.scoring import ScoringWeights
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
    told = ScoringWeights(0.0, 1.0, 0.0, 0.0, 0.0, 0.0)

    def picture(chance: float, people: int) -> Any:
        figures = np.array([[1.0, np.log(chance / (1 - chance)), 0, 0, 0, 0]])
        return tune.PictureSample(figures, np.array([people > 0]), people)

    doubt = tune.fit_interval_parameters([picture(0.57, 0), picture(0.82, 1), picture(0.97, 1)], told)
    assert doubt.sure == 0.7
