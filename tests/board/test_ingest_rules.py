"""What the board stores of messages, whatever order they come in and however often; and which alarms it raises."""

from __future__ import annotations

import json
import random

import pytest

from benchmarks.support.reporting_box import ReportingBox
from board.store import tables
from tests.support.board_store import BoardStore


def morning(box: ReportingBox) -> list[tuple[str, bytes]]:
    """An ordinary half-day."""
    said = [box.begin(), box.state(), box.camera(), box.heartbeat()]
    for revision in range(1, 6):
        said += [box.segment(), box.attend(revision, 25 + revision), box.heartbeat()]
    return [
        *said,
        box.alert("a1"),
        box.alert("a1", "cleared"),
        box.attend(6, 29, "final"),
        box.close(1),
        box.heartbeat(),
    ]


def test_a_half_day_is_stored_without_an_alarm(store: BoardStore) -> None:
    box = ReportingBox(now=store.clock.now())
    store.hear(box.approve(), *morning(box))
    assert store.alarms() == []
    (row,) = store.all(tables.boxes)
    assert (row["name"], row["state"], row["key"]) == ("wenshui/site1/box1", "online", box.key)
    assert (row["log"], row["whole_number"], row["whole_hash"]) == (box.log, box.number, box.last_hash)
    assert len(store.all(tables.statements)) == box.number
    (half_day,) = store.all(tables.half_days)
    assert (half_day["revision"], half_day["present"], half_day["status"]) == (6, 29, "final")
    assert len(store.all(tables.attendance)) == 6 and len(store.all(tables.segments)) == 5
    assert store.all(tables.segments)[0]["path"].endswith("/r1_cam1/083000.mp4")
    (alert,) = store.all(tables.alerts)
    assert (alert["state"], alert["class_id"]) == ("cleared", "C-1")
    (known,) = store.all(tables.classes)
    assert (known["institution"], known["class_number"]) == ("某职业培训学校", 1)
    (identity,) = store.all(tables.identities)
    assert identity["serial"] == "S-1"
    (head,) = store.all(tables.heads)
    assert (head["sequence"], head["state"]) == (1, "due")
    assert len(store.all(tables.heartbeats)) == 7


@pytest.mark.parametrize("seed", range(4))
def test_order_between_topics_and_doubles_change_nothing(store: BoardStore, seed: int) -> None:
    """Order holds for each topic only; each message may come more than once, also after later ones."""
    box, drawn = ReportingBox(now=store.clock.now()), random.Random(seed)
    said = morning(box)
    begin, rest = said[0], said[1:]
    topics: dict[str, list[tuple[str, bytes]]] = {}
    for message in rest:
        topics.setdefault(message[0], []).append(message)
    mixed = []
    while topics:
        name = drawn.choice(sorted(topics))
        mixed.append(topics[name].pop(0))
        if not topics[name]:
            del topics[name]
    store.hear(begin)
    heard: list[tuple[str, bytes]] = []
    while mixed:
        size = drawn.randint(1, 6)
        batch, mixed = mixed[:size], mixed[size:]
        again = drawn.sample(heard, min(len(heard), 2))
        store.hear(*again, *batch, again=True)
        heard += batch
        if drawn.random() < 0.3:
            store.restart()
    assert store.alarms() == []
    (row,) = store.all(tables.boxes)
    assert (row["whole_number"], row["whole_hash"]) == (box.number, box.last_hash)
    assert len(store.all(tables.statements)) == box.number
    (half_day,) = store.all(tables.half_days)
    assert (half_day["revision"], half_day["present"]) == (6, 29)
    assert store.all(tables.alerts)[0]["state"] == "cleared"


def test_a_clone_is_a_fork_with_both_statements_as_evidence(store: BoardStore) -> None:
    box = ReportingBox(now=store.clock.now())
    store.hear(box.begin(), box.attend(1), box.attend(2))
    clone = box.fork()
    store.hear(box.attend(3, 20))
    store.hear(clone.attend(3, 30))
    assert store.alarms() == [("fork", 4)]
    (alarm,) = store.all(tables.alarms)
    evidence = json.loads(alarm["evidence"])
    assert evidence["came"]["hash"] == clone.last_hash and json.loads(evidence["message"])["statementnumber"] == 4
    assert [row["number"] for row in store.all(tables.statements)].count(4) == 2
    (half_day,) = store.all(tables.half_days)
    assert half_day["present"] == 20, "what the second history says is kept, but is not the figure"


def test_a_box_put_back_is_a_step_back_and_its_second_head_is_never_due(store: BoardStore) -> None:
    box = ReportingBox(now=store.clock.now())
    store.hear(box.begin(), box.attend(1))
    before = box.fork()
    store.hear(box.attend(2), box.close(1), box.heartbeat())
    store.clock.step(600)
    before.now = store.clock.now()
    store.hear(before.heartbeat())
    assert store.alarms() == [("step_back", 2)]
    rolled = ReportingBox(log="5e" * 16, now=store.clock.now())
    store.hear(rolled.begin("rollback"), rolled.close(1, "cd" * 32))
    assert store.alarms() == [("new_log", 1), ("second_head", 2), ("step_back", 2)]
    heads = {row["head"]: (row["state"], row["reason"]) for row in store.all(tables.heads)}
    assert heads == {"ab" * 32: ("due", ""), "cd" * 32: ("refused", "second_head")}


def test_a_heartbeat_that_comes_again_or_late_is_no_step_back(store: BoardStore) -> None:
    box = ReportingBox(now=store.clock.now())
    store.hear(box.begin(), box.attend(1))
    early, late = box.heartbeat(), box.heartbeat()
    store.hear(early, box.attend(2), box.attend(3))
    store.restart()
    store.clock.step(3600)
    store.hear(early, again=True)  # not acknowledged before a kill
    store.hear(late, again=True)  # another worker was killed with it
    store.hear(box.heartbeat())
    assert store.alarms() == []


def test_another_key_and_a_sequence_that_goes_back_are_alarms(store: BoardStore) -> None:
    box = ReportingBox(now=store.clock.now())
    store.hear(box.begin(), box.close(5))
    box.key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGZvcmVpZ24"
    store.hear(box.close(6, "cd" * 32), box.close(4, "ef" * 32))
    assert store.alarms() == [("foreign_key", 3), ("sequence_back", 4)]
    assert store.all(tables.boxes)[0]["key"] == "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGJveA"
    assert sorted(row["state"] for row in store.all(tables.heads)) == ["due", "refused", "refused"]


def test_what_is_malformed_is_told_once_and_breaks_nothing(store: BoardStore) -> None:
    box = ReportingBox(now=store.clock.now())
    bad = [
        (f"{box.prefix}/heartbeat", b"{"),
        (f"{box.prefix}/heartbeat", b"\xff" * 10),
        (f"{box.prefix}/heartbeat", b"[" * 100_000),
        (f"{box.prefix}/state", b'{"type": "cn.training.site-agent.state.v1", "data": {"state": 1}}'),
        (f"{box.prefix}/heartbeat", b'{"type": "cn.training.site-agent.heartbeat.v1", "data": []}'),
        (f"{box.prefix}/classes/C-1", b'{"class_id": "C-2"}'),
        (f"{box.prefix}/classes/C-1", b"\x00"),
        ("training/v1/../x/y/state", b"{}"),
        ("training/v1/wenshui/site1", b"{}"),
        ("elsewhere", b"{}"),
        box.state_that("attendance", "attendance/x", {"class_id": "../etc", "revision": True}),
        box.state_that("attendance", "attendance/x", {"class_id": "C-1", "date": "1970-01-01", "session": "am", "revision": 1}),
        box.state_that("attendance", "attendance/x", {**box.half_day(), "session": ["am"], "revision": 1}),
        box.state_that("alert", "alert/x", {"alert_id": "a\x00b", "kind": "k\x00", "state": "raised", "since": "x"}),
        box.state_that("segment", "segment", {"half_days": [{"items": [1, None], **box.half_day()}]}),
        box.state_that("chain", "chain/x", {"sequence": 0}),
        box.state_that("chain", "chain/x", {"class_id": "C-1", "sequence": 1, "head": "ab" * 32, "date": "never"}),
    ]  # fmt: skip
    for _ in range(2):
        store.hear(*bad)
    store.hear(box.attend(1))
    assert {kind for kind, _ in store.alarms()} == {"malformed"} and len(store.alarms()) <= 10
    assert len(store.all(tables.statements)) == 8
    assert store.all(tables.half_days)[0]["present"] == 28


def test_a_statement_whose_hash_is_not_its_own_is_not_stored(store: BoardStore) -> None:
    box = ReportingBox(now=store.clock.now())
    store.hear(box.begin())
    topic, payload = box.attend(1)
    store.hear((topic, payload.replace(b'"present":28', b'"present":30')))
    assert store.alarms() == [("unsound", 2)]
    assert len(store.all(tables.statements)) == 1 and store.all(tables.half_days) == []
    store.hear((topic, payload))
    assert store.all(tables.boxes)[0]["whole_number"] == 2


def test_kept_messages_bring_figures_but_the_log_begins_with_what_is_live(store: BoardStore) -> None:
    box = ReportingBox(now=store.clock.now(), number=500)
    old = [box.camera(), box.attend(7)]
    store.hear(*old, retained=True)
    assert store.all(tables.half_days)[0]["revision"] == 7 and store.all(tables.boxes)[0]["log"] is None
    box.number += 100
    store.hear(box.attend(8))
    assert store.alarms() == [] and store.all(tables.boxes)[0]["whole_number"] == box.number


def test_a_cleared_camera_is_gone(store: BoardStore) -> None:
    box = ReportingBox(now=store.clock.now())
    store.hear(box.begin(), box.camera())
    store.hear((f"{box.prefix}/camera/cam1", b""))
    assert store.all(tables.cameras)[0]["gone"] and len(store.all(tables.identities)) == 1
    store.hear(box.camera("S-2"))
    assert len(store.all(tables.identities)) == 2


def test_an_old_will_does_not_make_a_box_offline(store: BoardStore) -> None:
    box = ReportingBox(now=store.clock.now())
    will = box.state("offline")
    box.now = box.now.replace(microsecond=0)
    store.hear(box.begin())
    box.attend(1)
    store.hear(box.state("online"), will)
    assert store.all(tables.boxes)[0]["state"] == "online"


def test_a_goodbye_that_waited_for_another_worker_does_not_stop_a_box(store: BoardStore) -> None:
    """On a shared subscription a worker that was away brings what was said before the box began again."""
    box = ReportingBox(now=store.clock.now())
    store.hear(box.begin(), box.state("online"))
    box.heartbeat()
    goodbye = box.state("stopped")
    box.heartbeat()
    store.hear(box.state("online"), goodbye)
    assert store.all(tables.boxes)[0]["state"] == "online"
    box.heartbeat()
    store.hear(box.state("stopped"))
    assert store.all(tables.boxes)[0]["state"] == "stopped"


def test_text_that_a_database_cannot_hold_is_replaced(store: BoardStore) -> None:
    box = ReportingBox(now=store.clock.now())
    store.hear(box.begin(), box.camera("S\x00\x01"))
    topic, payload = box.heartbeat()
    store.hear((topic, payload.replace(b'"worst":"ok"', b'"worst":"\\ud800\\u0000"')))
    assert store.all(tables.identities)[0]["serial"] == "S�\x01"
    assert store.all(tables.heartbeats)[0]["worst"] == "��"
