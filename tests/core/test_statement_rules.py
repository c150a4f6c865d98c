"""The canonical form of RFC 8785 and the rule for receivers of statements."""

from __future__ import annotations

import json
import math
import shutil
import subprocess
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.bureau.hole_inquiry import ASK_AFTER_S, HoleInquiry
from agent.core.canonical_json import encode_canonical
from agent.core.statement_model import EVENT_TYPE, GENESIS_HASH, LogPosition, Statement, compute_statement_hash
from agent.core.statement_rule import HOLE_AFTER_S, LogObserver, MissingRange

LOG = "4f" * 16


def stated(count: int, log: str = LOG) -> list[Statement]:
    found: list[Statement] = []
    for number in range(1, count + 1):
        previous = found[-1].hash if found else GENESIS_HASH
        draft = Statement(
            log, number, previous, "", f"id-{number}", "log", EVENT_TYPE.format(name="log"), "t", {"cause": "lost"}
        )
        found.append(replace(draft, hash=compute_statement_hash(draft)))
    return found


def test_the_example_of_rfc_8785() -> None:
    value = {
        "numbers": [333333333.33333329, 1e30, 4.50, 2e-3, 0.000000000000000000000000001],
        "string": "\u20ac$\u000f\u000aA'\u0042\u0022\u005c\\\"/",
        "literals": [None, True, False],
    }
    assert encode_canonical(value) == (
        rb'{"literals":[null,true,false],"numbers":[333333333.3333333,1e+30,4.5,0.002,1e-27],'
        b'"string":"\xe2\x82\xac$\\u000f\\nA\'B\\"\\\\\\\\\\"/"}'
    )


def test_keys_are_in_the_order_of_their_utf_16() -> None:
    assert encode_canonical({"\U0001f600": 1, "\ufb33": 2, "a": 3}).decode() == '{"a":3,"\U0001f600":1,"\ufb33":2}'


@pytest.mark.parametrize("value", [math.nan, math.inf, 1 << 60, {"a": object()}, "\ud800"])
def test_what_has_no_canonical_form_is_refused(value: object) -> None:
    with pytest.raises(ValueError):
        encode_canonical(value)


@pytest.mark.skipif(shutil.which("node") is None, reason="needs node")
def test_numbers_are_written_as_javascript_writes_them() -> None:
    values = [0.0, -0.0, 1.0, 60.0, 0.933, 1e21, 1e20, 123456789012345680000.0, 1e-6, 1e-7, 1.5e-7, -2.25, 5e-324, 0.1]
    code = f"process.stdout.write(JSON.stringify({json.dumps(values)}))"
    done = subprocess.run(["node", "-e", code], capture_output=True, check=True)
    assert encode_canonical(values) == done.stdout


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_number_is_read_back_as_it_was(value: float) -> None:
    assert float(encode_canonical(value)) == value


@given(st.permutations(list(range(12))))
def test_order_between_topics_does_not_matter(order: list[int]) -> None:
    items, observer = stated(13), LogObserver()
    faults = observer.take(items[0], 0.0)
    for number in order:
        faults += observer.take(items[number + 1], 0.0)
        faults += observer.take(items[number + 1], 0.0)  # delivery is at least once
    assert faults == [] and observer.whole == items[-1].position


def test_a_hole_counts_after_its_time_and_once() -> None:
    items, observer = stated(4), LogObserver()
    for item in (items[0], items[1], items[3]):
        assert observer.take(item, 100.0) == []
    assert observer.find_hole(100 + HOLE_AFTER_S - 1) == []
    (fault,) = observer.find_hole(100 + HOLE_AFTER_S)
    assert (fault.kind, fault.number) == ("hole", 3)
    assert observer.find_hole(5000) == []
    assert observer.take(items[2], 5001.0) == [] and observer.whole == items[3].position


def test_a_second_content_of_a_number_is_a_fork_before_and_after_it_was_settled() -> None:
    items, observer = stated(4), LogObserver()
    for item in (items[0], items[1], items[3]):
        observer.take(item, 0.0)
    for number in (1, 3):
        draft = replace(items[number], data={"cause": "first"})
        other = replace(draft, hash=compute_statement_hash(draft))
        assert [fault.kind for fault in observer.take(other, 0.0)] == ["fork"]


def test_a_statement_behind_another_history_is_a_fork() -> None:
    items, observer = stated(2), LogObserver()
    observer.take(items[0], 0.0)
    draft = replace(items[1], previous="ab" * 32)
    assert [f.kind for f in observer.take(replace(draft, hash=compute_statement_hash(draft)), 0.0)] == ["fork"]


def test_a_changed_content_is_unsound_and_moves_nothing() -> None:
    items, observer = stated(2), LogObserver()
    observer.take(items[0], 0.0)
    assert [f.kind for f in observer.take(replace(items[1], data={}), 0.0)] == ["unsound"]
    assert observer.whole == items[0].position


def test_a_heartbeat_that_knows_less_is_a_step_back() -> None:
    items, observer = stated(3), LogObserver()
    for item in items:
        observer.take(item, 0.0)
    assert observer.find_step_back(items[2].position) == []
    assert [f.kind for f in observer.find_step_back(items[1].position)] == ["step_back"]
    assert [f.kind for f in observer.find_step_back(LogPosition(LOG, 3, "cd" * 32))] == ["fork"]
    assert observer.find_step_back(LogPosition(LOG, 9, "cd" * 32)) == [], "it is ahead of what has come"


def test_a_new_log_names_its_cause_and_the_old_one_may_not_grow() -> None:
    old, new, observer = stated(3), stated(2, "5e" * 16), LogObserver()
    for item in old[:2]:
        observer.take(item, 0.0)
    (fault,) = observer.take(new[0], 0.0)
    assert (fault.kind, fault.detail) == ("new_log", "lost")
    assert observer.take(new[1], 0.0) == [] and observer.take(old[1], 0.0) == []
    assert [f.kind for f in observer.take(old[2], 0.0)] == ["step_back"]


def test_a_box_that_is_away_has_no_hole_until_it_has_been_back_for_the_time() -> None:
    items, observer = stated(3), LogObserver()
    observer.take(items[0], 0.0)
    observer.take(items[2], 10.0)
    back = 10 + 2 * HOLE_AFTER_S
    assert observer.find_hole(back + HOLE_AFTER_S - 1, up_since=back) == []
    assert [f.kind for f in observer.find_hole(back + HOLE_AFTER_S, up_since=back)] == ["hole"]


def test_the_missing_numbers_are_named_and_asked_for_now_and_then() -> None:
    items, observer, inquiry = stated(9), LogObserver(), HoleInquiry()
    for number in (0, 1, 6, 8):
        observer.take(items[number], 100.0)
    missing = observer.find_missing()
    assert missing == MissingRange(LOG, 3, 6, 100.0)
    assert inquiry.ask(missing, 100 + ASK_AFTER_S - 1) is None, "it may just be late"
    assert inquiry.ask(missing, 100 + ASK_AFTER_S) == {"from": 3, "to": 6, "log": LOG}
    assert inquiry.ask(missing, 110 + ASK_AFTER_S) is None
    observer.take(items[2], 200.0)
    part = observer.find_missing()
    assert part and inquiry.ask(part, 200.0) == {"from": 4, "to": 6, "log": LOG}, "the answer held a part: on at once"
    asked = sum(inquiry.ask(part, 200.0 + second) is not None for second in range(86400))
    assert asked < 40, "a box that cannot answer is not asked for ever"
    for number in (3, 4, 5):
        observer.take(items[number], 300.0)
    assert observer.find_missing() == MissingRange(LOG, 8, 8, 100.0)
