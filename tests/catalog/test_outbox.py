"""The outbox: what waits for the broker, what is remembered for it, what is dropped."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from agent.catalog import Catalog
from tests.support.attendance_factory import ZONE, at


@pytest.fixture
def catalog(tmp_path: Path) -> Iterator[Catalog]:
    """With a statement log whose beginning was delivered."""
    with Catalog(tmp_path / "c.db", ZONE) as opened:
        opened.outbox.begin_log("first", at("08:00"))
        opened.outbox.done(opened.outbox.last())
        yield opened


def topics(catalog: Catalog, **which: bool) -> list[str]:
    return [m.topic for m in catalog.outbox.waiting(**which)]


def test_only_what_has_an_end_expires_and_not_before_it(catalog: Catalog) -> None:
    begin = at("09:00")
    catalog.outbox.put("alert/drive.full", "alert", {}, begin)
    catalog.outbox.put("attendance/A/d/am", "attendance", {}, begin, retained=True)
    catalog.outbox.put("heartbeat", "heartbeat", {}, begin, expires_at=begin + timedelta(minutes=1))
    assert catalog.outbox.expire(begin + timedelta(seconds=59)) == 0
    assert catalog.outbox.expire(begin + timedelta(hours=9)) == 1
    assert topics(catalog) == ["alert/drive.full", "attendance/A/d/am"]


def test_what_is_forgotten_is_removed_here_and_by_a_retained_message_at_the_broker(catalog: Catalog) -> None:
    catalog.outbox.put("attendance/A/d/am", "attendance", {}, at("09:00"), retained=True)
    catalog.outbox.done(catalog.outbox.last())
    catalog.outbox.forget("attendance/A/d/am", at("10:00"))
    assert catalog.outbox.remembered() == []
    assert [(m.topic, m.type, m.retained, m.latest) for m in catalog.outbox.waiting()] == [
        ("attendance/A/d/am", "", True, True)
    ]


def test_a_state_is_told_once_and_each_of_its_changes_is(catalog: Catalog) -> None:
    for up in (True, False, False):
        catalog.outbox.put("camera/cam1", "camera", {"up": up}, at("09:00"), retained=True)
    assert [(m.data, m.latest) for m in catalog.outbox.waiting()] == [({"up": True}, False), ({"up": False}, True)]
    for message in catalog.outbox.waiting():
        catalog.outbox.done(message.seq)
    catalog.outbox.put("camera/cam1", "camera", {"up": False}, at("09:01"), retained=True)
    assert catalog.outbox.waiting() == []
    catalog.outbox.put("camera/cam1", "camera", {"up": True}, at("09:02"), retained=True)
    assert [m.data for m in catalog.outbox.waiting()] == [{"up": True}]


def test_of_what_only_repeats_statements_the_newest_waits(catalog: Catalog) -> None:
    for n in (1, 2, 2):
        catalog.outbox.put("alerts/open", "alerts.open", [{"n": n}], at("09:00"), retained=True)
    assert [m.data for m in catalog.outbox.waiting()] == [[{"n": 2}]]


def test_of_attendance_every_message_waits_though_only_the_last_one_is_the_newest(catalog: Catalog) -> None:
    for people in (20, 21, 21):
        catalog.outbox.put("attendance/A/d/am", "attendance", {"n": people}, at("09:00"), retained=True)
    catalog.outbox.put("alert/x", "alert", {}, at("09:01"))
    found = catalog.outbox.waiting()
    assert [(m.topic, m.data, m.latest) for m in found] == [
        ("attendance/A/d/am", {"n": 20}, False),
        ("attendance/A/d/am", {"n": 21}, False),
        ("attendance/A/d/am", {"n": 21}, True),
        ("alert/x", {}, True),
    ]
    assert [m.data for m in catalog.outbox.remembered()] == [{"n": 21}]


def test_what_waits_is_read_in_order_from_a_number_on(catalog: Catalog) -> None:
    for number in range(5):
        catalog.outbox.put(f"alert/{number}", "alert", {}, at("09:00") + timedelta(seconds=number))
    catalog.outbox.put("state", "state", {}, at("09:01"), retained=True)
    first = catalog.outbox.waiting(limit=2)
    assert [m.topic for m in first] == ["alert/0", "alert/1"]
    assert [m.topic for m in catalog.outbox.waiting(first[-1].seq, 2)] == ["alert/2", "alert/3"]
    assert topics(catalog, retained=True) == ["state"]
    assert (catalog.outbox.size(), catalog.outbox.oldest()) == (6, at("09:00"))


def test_what_is_remembered_is_given_by_prefix_and_only_once_if_it_also_waits(catalog: Catalog) -> None:
    for topic in ("camera/b", "camera/a", "class/z", "alerts/open"):
        catalog.outbox.put(topic, "state", {}, at("09:00"), retained=True)
    catalog.outbox.done(catalog.outbox.waiting()[0].seq)
    assert [m.topic for m in catalog.outbox.remembered()] == ["alerts/open", "camera/a", "camera/b", "class/z"]
    assert [m.topic for m in catalog.outbox.remembered("camera/")] == ["camera/a", "camera/b"]
    assert [(m.topic, m.seq) for m in catalog.outbox.remembered(settled=True)] == [("camera/b", 0)]


def test_what_nobody_fetches_is_given_up_by_age_whatever_its_kind(catalog: Catalog) -> None:
    catalog.outbox.put("alert/old", "alert", {}, at("09:00"))
    catalog.outbox.put("class/old", "class", {}, at("09:00"), retained=True)
    catalog.outbox.put("alert/new", "alert", {}, at("10:00"))
    catalog.outbox.put("alert/newer", "alert", {}, at("10:01"))
    assert catalog.outbox.drop(at("10:00")) == 2
    assert topics(catalog) == ["alert/new", "alert/newer"]
    assert [m.topic for m in catalog.outbox.remembered()] == ["class/old"]


def test_what_is_not_retained_supersedes_nothing_whatever_its_topic(catalog: Catalog) -> None:
    for _ in range(2):
        catalog.outbox.put("camera/cam1", "camera", {"up": True}, at("09:00"))
    assert topics(catalog) == ["camera/cam1"] * 2 and catalog.outbox.remembered() == []
