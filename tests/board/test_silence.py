"""A box that fell silent: an alert of the board's own, which is told once and ends by itself; a storm is one message."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest

from benchmarks.support.reporting_box import ZONE, Message, ReportingBox
from board.ingest.judge import SILENT_S
from board.notify.options import NotifyOptions
from board.notify.sender import AppriseSender
from board.notify.worker import Notifier
from board.queries.alerts import SILENT_KIND, list_open_alerts, note_alert
from board.silence import BoxSilenceWatch
from board.store import tables
from tests.support.board_store import BoardStore
from tests.support.notice_receivers import WebhookSink


@pytest.fixture
def hook() -> Iterator[WebhookSink]:
    with WebhookSink() as sink:
        yield sink


def make_box(store: BoardStore, number: int = 1) -> ReportingBox:
    """A box that has begun to report."""
    box = ReportingBox(f"wenshui/site{number}/box1", f"{number:032x}", store.clock.now(), class_id=f"C-{number}")
    store.hear(box.begin(), box.state(), box.heartbeat())
    return box


def beat(store: BoardStore, box: ReportingBox) -> None:
    box.now = store.clock.now()
    store.hear(box.heartbeat())


def shown(store: BoardStore) -> list[tuple[object, object, object]]:
    return [(row["box"], row["severity"], row["state"]) for row in list_open_alerts(store.database)]


def test_silence_is_an_alert_that_ends_when_the_box_is_heard(store: BoardStore) -> None:
    box, watch = make_box(store), BoxSilenceWatch(store.database, store.clock, ZONE)
    since = store.clock.now()
    store.clock.step(SILENT_S)
    watch.look(0.0)
    assert shown(store) == [], "three minutes are not over"
    store.clock.step(1)
    for _ in range(2):
        watch.look(0.0)
    ((alert,)) = list_open_alerts(store.database)
    assert (alert["box"], alert["kind"], alert["severity"]) == (box.name, SILENT_KIND, "warning")
    assert f"{since.astimezone(ZONE):%H:%M} 起没有心跳" in str(alert["message"])
    note_alert(store.database, int(str(alert["box_id"])), str(alert["alert_id"]), "w", "x", store.clock.now())
    beat(store, box)
    watch.look(0.0)
    assert shown(store) == [] and [row["state"] for row in store.all(tables.alerts)] == ["cleared"]
    store.clock.step(SILENT_S + 1)
    watch.look(0.0)
    (again,) = list_open_alerts(store.database)
    assert again["alert_id"] != alert["alert_id"] and again["acknowledged_at"] is None, "another silence, another alert"


def test_it_is_critical_while_a_class_is_under_way_there(store: BoardStore) -> None:
    store.clock.time = store.clock.time.astimezone(ZONE).replace(hour=8, minute=20)
    box, watch = make_box(store), BoxSilenceWatch(store.database, store.clock, ZONE)
    lesson = {"date": box.day(), "start": "08:30", "end": "11:30", "room_id": "r1", "kind": "theory"}
    store.hear(box.approve(lessons=[lesson]))
    store.clock.step(SILENT_S + 1)
    watch.look(0.0)
    assert shown(store) == [(box.name, "warning", "raised")]
    store.clock.step(600)
    watch.look(0.0)
    ((alert,)) = list_open_alerts(store.database)
    assert (alert["severity"], alert["state"]) == ("critical", "updated") and "C-1" in str(alert["message"])


def test_who_stops_in_good_order_or_is_revoked_is_not_silent(store: BoardStore) -> None:
    watch = BoxSilenceWatch(store.database, store.clock, ZONE)
    stopped, offline, revoked = (make_box(store, n) for n in (1, 2, 3))
    store.hear(stopped.state("stopped"), offline.state("offline"))
    store.clock.step(SILENT_S + 1)
    watch.look(0.0)
    assert shown(store) == [(name, "warning", "raised") for name in (revoked.name, offline.name)]
    with store.database.write() as connection:
        mine = tables.boxes.c.name == revoked.name
        connection.execute(tables.boxes.update().where(mine).values(revoked_at="2026-11-28T00:00:00.000Z"))
    watch.look(0.0)
    assert shown(store) == [(offline.name, "warning", "raised")]


def test_a_board_that_was_away_waits_for_the_boxes(store: BoardStore) -> None:
    box = make_box(store)
    store.clock.step(3600)  # the board is down
    watch = BoxSilenceWatch(store.database, store.clock, ZONE)
    connected = store.clock.monotonic()
    watch.look(None)
    watch.look(connected)
    store.clock.step(60)
    watch.look(connected)
    assert shown(store) == []
    beat(store, box)
    store.clock.step(SILENT_S)
    watch.look(connected)
    assert shown(store) == []
    store.clock.step(SILENT_S)
    watch.look(connected)
    assert shown(store) == [(box.name, "warning", "raised")]


def test_an_outage_of_the_broker_is_one_message_and_ends_by_itself(store: BoardStore, hook: WebhookSink) -> None:
    """Forty boxes, whose heartbeats come over a minute, are not heard any more since the board lost the broker."""
    options = NotifyOptions(urls=(hook.url(),), bureau="文水县人社局")
    notifier = Notifier(store.database, store.clock, AppriseSender(options.urls), options, lambda: True)
    watch, boxes = BoxSilenceWatch(store.database, store.clock, ZONE), []
    for number in range(40):
        boxes.append(make_box(store, number))
        store.clock.step(1.5)
    watch.look(0.0)
    for _ in range(24):
        store.clock.step(15)
        watch.look(None)
        notifier.step()
    assert len(shown(store)) == 40 and [body["title"] for body in hook.bodies] == ["【文水县人社局】培训监管告警 40 条"]
    assert "终端失联 (40)" in hook.bodies[0]["message"] and "与消息服务器断开" in hook.bodies[0]["message"]
    connected = store.clock.monotonic()
    for _ in range(8):
        for box in boxes:
            box.now = store.clock.now()
        store.hear(*(box.heartbeat() for box in boxes))
        watch.look(connected)
        notifier.step()
        store.clock.step(60)
    assert shown(store) == [] and hook.tries == 1, "its end is no message"


def test_a_box_cannot_end_its_own_silence(store: BoardStore) -> None:
    box, watch = make_box(store), BoxSilenceWatch(store.database, store.clock, ZONE)
    store.clock.step(SILENT_S + 1)
    watch.look(0.0)
    ((alert,)) = list_open_alerts(store.database)
    box.now = store.clock.now() + timedelta(seconds=60)
    forged: Message = box.alert(str(alert["alert_id"]), "cleared", SILENT_KIND)
    store.hear(forged)
    assert shown(store) == [(box.name, "warning", "raised")]
    assert [kind for kind, _ in store.alarms()] == ["malformed"]
