"""The outbox and its sender, by a clock that the test moves; and that a removed topic is gone at a real broker."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from agent.bureau import outbox_sender as pumping
from agent.bureau.outbox_sender import OutboxSender
from agent.bureau.retained import RetainedReconciler
from agent.bureau.suspects import SentMessage, SuspectMessages
from agent.catalog import Catalog
from agent.core.errors import BureauError
from tests.bureau.test_link import join_now
from tests.support import attendance_factory as made
from tests.support.attendance_factory import at
from tests.support.broker import Broker, Listener, eventually, needs_mosquitto
from tests.support.bureau_factory import PREFIX, ZONE, BureauBox, attendance, now, options
from tests.support.clocks import HandClock

BEGIN = at("09:00")
LATE_S = 30


@pytest.fixture
def clock() -> HandClock:
    return HandClock(BEGIN)


@pytest.fixture
def catalog(tmp_path: Path) -> Iterator[Catalog]:
    """With a statement log whose beginning was delivered."""
    with Catalog(tmp_path / "catalog.db", ZONE) as found:
        found.outbox.begin_log("first", BEGIN)
        found.outbox.done(found.outbox.last())
        yield found


# the outbox alone


def test_only_what_has_an_end_expires(catalog: Catalog) -> None:
    catalog.outbox.put("alert/drive.full", "alert", {}, BEGIN)
    catalog.outbox.put("attendance/A/d/am", "attendance", {}, BEGIN, retained=True)
    catalog.outbox.put("heartbeat", "heartbeat", {}, BEGIN, expires_at=BEGIN + timedelta(minutes=5))
    assert catalog.outbox.expire(BEGIN + timedelta(minutes=5)) == 0
    assert catalog.outbox.expire(BEGIN + timedelta(hours=9)) == 1
    assert [(m.topic, m.latest) for m in catalog.outbox.waiting()] == [
        ("alert/drive.full", True),
        ("attendance/A/d/am", True),
    ]


def test_a_topic_that_is_forgotten_is_removed_by_an_empty_retained_message(catalog: Catalog) -> None:
    catalog.outbox.put("attendance/A/d/am", "attendance", {}, BEGIN, retained=True)
    catalog.outbox.done(catalog.outbox.last())
    catalog.outbox.forget("attendance/A/d/am", BEGIN)
    assert catalog.outbox.remembered() == []
    assert [(m.type, m.retained, m.latest) for m in catalog.outbox.waiting()] == [("", True, True)]


def test_a_state_is_told_once_and_each_of_its_changes_is(catalog: Catalog) -> None:
    for up in (True, False, False):
        catalog.outbox.put("camera/cam1", "camera", {"up": up}, BEGIN, retained=True)
    assert [(m.data, m.latest) for m in catalog.outbox.waiting()] == [({"up": True}, False), ({"up": False}, True)]
    for message in catalog.outbox.waiting():
        catalog.outbox.done(message.seq)
    catalog.outbox.put("camera/cam1", "camera", {"up": False}, BEGIN, retained=True)
    assert catalog.outbox.waiting() == []
    for revision in (1, 2):
        catalog.outbox.put("attendance/A/d/am", "attendance", {"revision": revision}, BEGIN, retained=True)
    assert [(m.data, m.latest) for m in catalog.outbox.waiting()] == [({"revision": 1}, False), ({"revision": 2}, True)]


def test_given_up_is_what_is_older_and_the_newest_state_is_remembered(catalog: Catalog) -> None:
    catalog.outbox.put("alert/x", "alert", {"n": 1}, BEGIN)
    catalog.outbox.put("chain/A", "chain", {"n": 2}, BEGIN, retained=True)
    catalog.outbox.put("alert/x", "alert", {"n": 3}, BEGIN + timedelta(hours=1))
    assert catalog.outbox.drop(BEGIN + timedelta(minutes=1)) == 2
    assert [m.data for m in catalog.outbox.waiting()] == [{"n": 3}]
    assert [m.data for m in catalog.outbox.remembered()] == [{"n": 2}]


def test_attendance_ends_thirty_days_after_the_last_day_of_its_class(catalog: Catalog, clock: HandClock) -> None:
    cls = made.a_class(made.lesson("09:00", "10:00"))
    day = made.DAY
    catalog.outbox.put(f"attendance/{cls.class_id}/{day}/am", "attendance", {}, BEGIN, retained=True)
    mirror = RetainedReconciler(catalog, clock, options(1), lambda: [replace(cls, last_day=day + timedelta(days=2))])
    clock.go_to(at("23:00", day + timedelta(days=32)))
    mirror.step()
    assert len(catalog.outbox.remembered("attendance/")) == 1
    clock.go_to(at("00:01", day + timedelta(days=33)))
    mirror.step()
    assert catalog.outbox.remembered("attendance/") == []


@needs_mosquitto
def test_a_topic_that_is_forgotten_is_gone_at_the_broker(tmp_path: Path) -> None:
    old = attendance(1, "OLD")
    topic = f"attendance/OLD/{old['date']}/am"
    with Broker(tmp_path / "broker") as broker, Listener(broker, f"{PREFIX}/#") as bureau:
        with BureauBox(tmp_path, options(broker.port)) as box:
            box.attend(1, "OLD")
            box.attend(1)
            eventually(lambda: box.catalog.outbox.size() == 0)
            assert f"{PREFIX}/{topic}" in join_now(broker), "the broker holds it"
            box.catalog.outbox.forget(topic, now())
            bureau.wait(lambda: any(h.payload == b"" for h in bureau.on(topic)))
            eventually(lambda: box.catalog.outbox.size() == 0)
            assert [t for t in join_now(broker) if "/attendance/" in t] == [f"{PREFIX}/attendance/C-1/{old['date']}/am"]
        with BureauBox(tmp_path, options(broker.port)) as box:  # it sends again what it remembers
            eventually(lambda: box.link.status().connected)
            bureau.wait(lambda: len(bureau.on(f"attendance/C-1/{old['date']}/am")) >= 2)
            assert f"{PREFIX}/{topic}" not in join_now(broker)


# the sender over a connection that the test answers for


class Line:
    """In place of a connection: what was published, by message ID, and the acknowledgements that the test gives."""

    def __init__(self, *, window: int = 20, largest: int | None = None) -> None:
        self.window, self.largest = window, largest
        self.acks: deque[tuple[int, str | None]] = deque()
        self.published: list[tuple[str, dict[str, Any] | None, bool]] = []

    def publish(self, topic: str, payload: bytes, *, retain: bool, correlation: bytes | None = None) -> int:
        self.published.append((topic.removeprefix(f"{PREFIX}/"), json.loads(payload) if payload else None, retain))
        return len(self.published)

    def acknowledge(self, *mids: int, refusal: str | None = None) -> None:
        self.acks.extend((mid, refusal) for mid in mids)

    def topics(self, begin: int = 0) -> list[str]:
        return [topic for topic, *_ in self.published[begin:]]


class Sender:
    def __init__(self, catalog: Catalog, clock: HandClock, line: Line, **more: Any) -> None:
        self.line = line
        given = options(1, late_s=LATE_S, refused_pause_s=60, ack_timeout_s=20, **more)
        self.pump = OutboxSender(line, catalog, clock, given, self._birth, SuspectMessages(300))  # type: ignore[arg-type]

    def _birth(self) -> tuple[int, SentMessage]:
        return self.line.publish(f"{PREFIX}/state", b"{}", retain=True), SentMessage("state", 2)

    def step(self) -> list[str]:
        """Return the topics that one step published."""
        before = len(self.line.published)
        self.pump.step()
        return self.line.topics(before)

    def acknowledge_all(self) -> None:
        self.line.acknowledge(*self.pump.under_way())


@pytest.fixture
def sender(catalog: Catalog, clock: HandClock, monkeypatch: pytest.MonkeyPatch) -> Sender:
    monkeypatch.setattr(pumping, "time", clock)
    return Sender(catalog, clock, Line())


def test_retained_then_birth_then_the_rest(catalog: Catalog, clock: HandClock, sender: Sender) -> None:
    catalog.outbox.put("chain/A", "chain", {}, BEGIN, retained=True)
    catalog.outbox.done(catalog.outbox.last())
    catalog.outbox.put("alert/x", "alert", {}, BEGIN)
    catalog.outbox.put("camera/cam1", "camera", {}, BEGIN, retained=True)
    sender.step()
    sender.step()
    assert sender.line.topics() == ["chain/A", "camera/cam1", "state", "alert/x"]
    assert [retain for *_, retain in sender.line.published] == [True, True, True, False]
    sender.acknowledge_all()
    sender.step()
    assert catalog.outbox.size() == 0


def test_what_is_acknowledged_is_deleted_and_nothing_else(catalog: Catalog, sender: Sender) -> None:
    for n in range(3):
        catalog.outbox.put(f"alert/{n}", "alert", {}, BEGIN)
    sender.step()
    sender.step()
    assert sender.line.topics() == ["state", "alert/0", "alert/1", "alert/2"]
    sender.line.acknowledge(3)
    sender.step()
    assert [m.topic for m in catalog.outbox.waiting()] == ["alert/0", "alert/2"]
    assert sender.pump.acknowledged == 1


def test_no_more_are_in_flight_than_the_broker_takes(catalog: Catalog, sender: Sender) -> None:
    sender.line.window = 3
    for n in range(5):
        catalog.outbox.put(f"alert/{n}", "alert", {}, BEGIN)
    sender.step()
    sender.step()
    assert sender.line.topics() == ["state", "alert/0", "alert/1"]
    sender.line.acknowledge(2)
    assert sender.step() == ["alert/2"]
    assert not sender.pump.has_room()


def test_a_refused_topic_waits_a_minute_and_the_others_go_on(
    catalog: Catalog, clock: HandClock, sender: Sender
) -> None:
    catalog.outbox.put("alert/x", "alert", {}, BEGIN)
    sender.step()
    sender.step()
    sender.line.acknowledge(1)
    sender.line.acknowledge(2, refusal="Not authorized")
    catalog.outbox.put("alert/x", "alert", {}, BEGIN)
    catalog.outbox.put("alert/y", "alert", {}, BEGIN)
    assert sender.step() == ["alert/y"]
    assert [error.key for error in sender.pump.problems()] == ["bureau.publish_refused"]
    clock.go(19)
    sender.acknowledge_all()
    assert sender.step() == []
    clock.go(40)
    assert sender.step() == []
    assert [m.topic for m in catalog.outbox.waiting()] == ["alert/x", "alert/x"], "nothing is lost"
    clock.go(1)
    assert sender.step() == ["alert/x", "alert/x"]
    assert sender.pump.problems() == []
    sender.acknowledge_all()
    sender.step()
    assert catalog.outbox.size() == 0


def test_the_next_try_sends_nothing_twice_that_is_in_flight(catalog: Catalog, clock: HandClock, sender: Sender) -> None:
    catalog.outbox.put("alert/x", "alert", {}, BEGIN)
    sender.step()
    sender.step()
    sender.line.acknowledge(1)
    sender.line.acknowledge(2, refusal="Quota exceeded")
    sender.step()
    clock.go(55)
    catalog.outbox.put("alert/y", "alert", {}, BEGIN)
    assert sender.step() == ["alert/y"]
    clock.go(5)
    assert sender.step() == ["alert/x"], "y is still in flight"


def test_a_message_that_the_broker_cannot_take_is_never_sent(
    catalog: Catalog, clock: HandClock, sender: Sender
) -> None:
    sender.line.largest = 2000
    catalog.outbox.put("alert/big", "alert", {"text": "x" * 2000}, BEGIN)
    catalog.outbox.put("alert/small", "alert", {}, BEGIN)
    sender.step()
    sender.step()
    assert sender.line.topics() == ["state", "alert/small"]
    (error,) = sender.pump.problems()
    assert (error.key, error.params["topic"]) == ("bureau.too_large", "alert/big")
    sender.acknowledge_all()
    sender.step()
    clock.go(61)
    assert sender.step() == []
    assert [m.topic for m in catalog.outbox.waiting()] == ["alert/big"], "a larger limit may come"


def test_replayed_stands_on_what_is_late_and_not_on_what_is_remembered(
    catalog: Catalog, clock: HandClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pumping, "time", clock)
    catalog.outbox.put("attendance/A/d/am", "attendance", {}, BEGIN, retained=True)
    catalog.outbox.done(catalog.outbox.last())
    catalog.outbox.put("alert/before", "alert", {}, BEGIN)
    clock.go(5)
    sender = Sender(catalog, clock, Line())
    catalog.outbox.put("alert/now", "alert", {}, clock.now())
    catalog.outbox.put("alert/old", "alert", {}, clock.now() - timedelta(seconds=LATE_S + 1))
    sender.step()
    sender.step()
    found = {topic: event for topic, event, _ in sender.line.published if event}
    assert [
        (topic, event.get("replayed", False), event["data"]["replayed"])
        for topic, event in found.items()
        if topic != "state"
    ] == [
        ("attendance/A/d/am", False, False),
        ("alert/before", True, True),
        ("alert/now", False, False),
        ("alert/old", True, True),
    ]


def test_a_statement_waits_for_the_drive_and_not_for_ever(
    catalog: Catalog, clock: HandClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A box that loses its catalog never has to put another statement under a number that it has sent."""
    monkeypatch.setattr(pumping, "time", clock)
    catalog.changes.forget_all()
    sender = Sender(catalog, clock, Line(), hold_s=10)
    sender.step()
    catalog.outbox.put("alert/x", "alert", {}, BEGIN)
    assert sender.step() == []
    catalog.changes.forget_all()  # what the journal has written
    assert sender.step() == ["alert/x"]
    catalog.outbox.put("alert/y", "alert", {}, BEGIN)
    assert sender.step() == []
    clock.go(9)
    sender.acknowledge_all()
    assert sender.step() == []
    clock.go(2)
    assert sender.step() == ["alert/y"], "there is no drive"
    catalog.outbox.put("alert/z", "alert", {}, BEGIN)
    assert sender.step() == ["alert/z"], "then nothing waits for a while"


def test_a_broker_that_does_not_acknowledge_ends_the_connection(clock: HandClock, sender: Sender) -> None:
    sender.step()
    clock.go(20)
    sender.step()
    clock.go(1)
    with pytest.raises(BureauError) as caught:
        sender.step()
    assert caught.value.key == "bureau.no_ack"
