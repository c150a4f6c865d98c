"""Which class a camera records for, by tables."""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

from agent.core.class_model import Amendment, Lesson, Room, TrainingClass
from agent.core.model import Session
from agent.core.schedule import (
    RECORDING_MARGIN,
    find_next_start,
    find_placement,
    list_placements,
    list_planned_spans,
    list_planned_time,
)
from tests.support.training_classes import make_training_class

DAY = date(2026, 11, 23)


def at(text: str) -> datetime:
    hour, minute = text.split(":")
    return datetime(2026, 11, 23, int(hour), int(minute), tzinfo=UTC)


def lesson(start: str, end: str, room: str = "r1", session: Session = Session.AM, cancelled: bool = False) -> Lesson:
    return Lesson(DAY, session, at(start), at(end), room, "theory", cancelled=cancelled)


def make(class_id: str, *lessons: Lesson, expected: int = 30, amendments: tuple[Amendment, ...] = ()) -> TrainingClass:
    rooms = (Room("r1", "一号", "theory", ("cam1", "cam2")), Room("r2", "实操", "practice", ("cam3",)))
    return make_training_class(
        class_id, first_day=DAY, last_day=DAY, expected=expected, rooms=rooms, lessons=lessons, amendments=amendments
    )


def stretches(classes: list[TrainingClass], camera: str = "cam1") -> list[tuple[str, datetime, datetime]]:
    return [(p.class_id, p.start, p.end) for p in list_placements(classes, camera)]


def test_from_15_minutes_before_to_15_after_breaks_included() -> None:
    one = make("A", lesson("08:30", "09:15"), lesson("09:30", "11:30"))
    assert stretches([one]) == [("A", at("08:15"), at("11:45"))]


def test_each_camera_follows_its_own_room() -> None:
    one = make("A", lesson("08:30", "09:30", "r1"), lesson("10:00", "11:30", "r2"))
    assert stretches([one], "cam1") == [("A", at("08:15"), at("09:45"))]
    assert stretches([one], "cam3") == [("A", at("09:45"), at("11:45"))]


def test_the_lesson_decides_where_classes_follow_each_other() -> None:
    one, two = make("A", lesson("08:00", "10:00")), make("B", lesson("10:00", "12:00"))
    assert stretches([one, two]) == [("A", at("07:45"), at("10:00")), ("B", at("10:00"), at("12:15"))]


def test_margins_meet_in_the_middle() -> None:
    one, two = make("A", lesson("08:00", "10:00")), make("B", lesson("10:10", "12:00"))
    assert stretches([one, two]) == [("A", at("07:45"), at("10:05")), ("B", at("10:05"), at("12:15"))]


def test_one_class_inside_anothers_break() -> None:
    one = make("A", lesson("08:00", "09:00"), lesson("10:00", "11:00"))
    two = make("B", lesson("09:10", "09:50"))
    assert stretches([one, two]) == [
        ("A", at("07:45"), at("09:05")),
        ("B", at("09:05"), at("09:55")),
        ("A", at("09:55"), at("11:15")),
    ]
    # A's ledger leaves out what the camera gave to B
    assert [(p.start, p.end) for p in list_planned_time([one, two], "A") if p.camera_id == "cam1"] == [
        (at("08:00"), at("09:05")),
        (at("09:55"), at("11:00")),
    ]


def test_two_half_days_that_touch_are_two_placements() -> None:
    one = make("A", lesson("10:00", "12:00"), lesson("12:10", "14:00", session=Session.PM))
    assert [(p.session, p.start, p.end) for p in list_placements([one], "cam1")] == [
        (Session.AM, at("09:45"), at("12:05")),
        (Session.PM, at("12:05"), at("14:15")),
    ]


def test_a_cancelled_lesson_is_no_plan() -> None:
    one = make("A", lesson("08:00", "09:00", cancelled=True))
    assert list_planned_spans(one) == []
    assert find_placement([one], "cam1", at("08:30")) is None


def test_now_and_next() -> None:
    one = make("A", lesson("08:00", "09:00"))
    assert find_placement([one], "cam1", at("07:45")) is not None
    assert find_placement([one], "cam1", at("07:44")) is None
    assert find_next_start([one], "cam1", at("06:00")) == at("08:00") - RECORDING_MARGIN
    assert find_next_start([one], "cam1", at("09:00")) is None


def test_an_amendment_rules_from_its_half_day_on() -> None:
    change = Amendment(DAY, DAY, Session.PM, "退学一人", {"expected": 29})
    one = make("A", amendments=(change,))
    assert one.expected_on(DAY, Session.AM) == 30
    assert one.expected_on(DAY, Session.PM) == 29
    assert one.expected_on(DAY + timedelta(days=1), Session.AM) == 29


def test_the_plan_of_a_long_class_is_soon_read() -> None:
    """Pages and commands ask for it, the recorder each second: twice the days may not take four times as long."""
    rows = [
        replace(lesson(start, end, session=half), date=DAY + day * i, start=at(start) + day * i, end=at(end) + day * i)
        for day in (timedelta(days=1),)
        for i in range(1500)
        for half, start, end in (
            (Session.AM, "08:30", "09:15"),
            (Session.AM, "09:30", "11:30"),
            (Session.PM, "14:00", "17:00"),
        )
    ]
    begun = time.process_time()
    found = list_planned_time([make("A", *rows)], "A")
    assert time.process_time() - begun < 1.5
    assert len(found) == 1500 * 2 * 2
