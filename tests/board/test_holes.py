"""A message dropped on the way: asked for, an alarm after ten minutes with the link up, cleared when it comes after all."""

from __future__ import annotations

import json

import pytest

from benchmarks.support.reporting_box import ReportingBox
from board.duties import HoleWatch
from board.store import tables
from tests.support.board_store import BoardStore


def beat_for(store: BoardStore, box: ReportingBox, seconds: float) -> list[tuple[str, dict[str, object]]]:
    """Let time pass with a heartbeat a minute; return what the box was asked."""
    watch, asked = HoleWatch(store.database, store.clock), []
    for _ in range(int(seconds / 60)):
        store.clock.step(60)
        box.now = store.clock.now()
        store.hear(box.heartbeat())
        asked += watch.look(0.0)
    return asked


@pytest.mark.parametrize("last", [False, True])
def test_a_dropped_statement_is_asked_for_then_an_alarm_then_cleared(store: BoardStore, last: bool) -> None:
    """Also where it was the last one: the heartbeat names it."""
    box = ReportingBox(now=store.clock.now())
    store.hear(box.begin(), box.heartbeat(), box.attend(1))
    dropped = box.attend(2)
    if not last:
        store.hear(box.attend(3))
    asked = beat_for(store, box, 540)
    assert store.alarms() == []
    assert asked == [("wenshui/site1/box1", {"log": box.log, "from": 3, "to": 3})]
    again = beat_for(store, box, 300)
    assert len(again) == 1, "asked again after ten minutes, not each time"
    assert store.alarms() == [("hole", 3)]
    store.hear(dropped, again=True)
    assert store.alarms() == [] and store.all(tables.alarms)[0]["cleared_at"]
    assert store.all(tables.boxes)[0]["whole_number"] == box.number
    assert beat_for(store, box, 120) == []


def test_nothing_is_a_hole_while_the_box_or_the_board_is_away(store: BoardStore) -> None:
    box = ReportingBox(now=store.clock.now())
    store.hear(box.begin(), box.heartbeat())
    box.attend(1)
    store.hear(box.attend(2))
    store.clock.step(3600)  # the box is away with what is missing
    assert HoleWatch(store.database, store.clock).look(0.0) == []
    box.now = store.clock.now()
    store.hear(box.heartbeat())
    assert HoleWatch(store.database, store.clock).look(0.0) == [], "it has been back for no time"
    store.clock.step(59)
    assert HoleWatch(store.database, store.clock).look(store.clock.monotonic()) == [], "the board was away"
    assert store.alarms() == []


def test_the_wait_goes_on_over_a_restart_and_in_another_worker(store: BoardStore) -> None:
    box = ReportingBox(now=store.clock.now())
    store.hear(box.begin(), box.heartbeat())
    box.attend(1)
    store.hear(box.attend(2))
    for _ in range(11):
        store.clock.step(60)
        box.now = store.clock.now()
        store.restart()
        store.hear(box.heartbeat())
        HoleWatch(store.database, store.clock).look(0.0)
    assert store.alarms() == [("hole", 2)]


def test_the_answer_fills_the_hole(store: BoardStore) -> None:
    """The box answers on its own `response/statements`, with the messages as they were."""
    box = ReportingBox(now=store.clock.now())
    store.hear(box.begin(), box.heartbeat())
    missing = [box.attend(1, 25), box.segment(), box.close(1)]
    store.hear(box.attend(2))
    events = [json.loads(payload) for _, payload in missing]
    answer = box.answer("statements", {"statements": [*events, 1, {}], "more": False})
    store.hear(answer, answer)
    assert store.alarms() == [] and store.all(tables.boxes)[0]["whole_number"] == box.number
    assert len(store.all(tables.segments)) == 1 and len(store.all(tables.heads)) == 1
    assert len(store.all(tables.statements)) == box.number
    store.hear(box.answer("statements", {"statements": "none"}), box.answer("gaps", {"gaps": []}))
    assert store.alarms() == []
