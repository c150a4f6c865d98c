"""Whatever stands in a class body, the answer is a class or a list of faults, never anything else."""

from __future__ import annotations

import copy
import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from agent.attendance.classes import body_of, load, parse
from agent.attendance.fields import ClassFileProblems
from tests.attendance_made import ZONE
from tests.test_classes_files import CONFIG

EXAMPLE = json.loads(json.dumps(body_of(load(CONFIG / "class.example.toml", ZONE), ZONE)))
EXAMPLE["amendments"][1]["move"] = EXAMPLE["amendments"][1].pop("applied")["move"]
EXAMPLE["amendments"][1]["cancel"] = [{"date": "2026-11-24", "session": "am"}]


def paths(value: Any, here: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [here, *(p for key, part in items for p in paths(part, (*here, key)))]


PATHS = paths(EXAMPLE)[1:]
ODD = st.one_of(
    st.none(), st.booleans(), st.integers(-(2**70), 2**70), st.floats(), st.text(max_size=20),
    st.sampled_from(["../..", "2026-11-24", "0001-01-01", "9999-12-31", "23:59", "am", "R101", "cam2", "a" * 500]),
    st.sampled_from(["\x1b[2J", "{x}", "00:00"]),
    st.lists(st.one_of(st.integers(), st.text(max_size=3), st.none()), max_size=3),
    st.dictionaries(st.text(max_size=5), st.one_of(st.integers(), st.text(max_size=3)), max_size=3),
)  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(PATHS), ODD), min_size=1, max_size=4))
def test_any_body_is_a_class_or_a_list_of_faults(changes: list[tuple[tuple[Any, ...], Any]]) -> None:
    body = copy.deepcopy(EXAMPLE)
    for path, value in changes:
        target = body
        try:
            for key in path[:-1]:
                target = target[key]
            target[path[-1]] = value
        except (TypeError, KeyError, IndexError):
            continue  # an earlier change took this place away
    try:
        cls = parse(body, ZONE, "fuzz")
    except ClassFileProblems as problems:
        assert problems.problems
        assert all("\n" not in line and "\x1b" not in line for line in problems.problems)
        return
    again = json.loads(json.dumps(body_of(cls, ZONE)))
    assert parse(again, ZONE, "again") == cls
