"""The plan's borders: breaks, noon, cancelled lessons, later days."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from agent.model import Session
from agent.model_classes import Lesson
from agent.schedule import next_start, placement_at, placements, planned, spans
from tests.test_schedule import at, lesson, make, stretches


def later(one: Lesson, days: int) -> Lesson:
    day = timedelta(days=days)
    return replace(one, date=one.date + day, start=one.start + day, end=one.end + day)


def time_of(camera: str, *classes: object) -> list[tuple[datetime, datetime]]:
    return [(p.start, p.end) for p in planned(classes, "A") if p.camera_id == camera]  # type: ignore[arg-type]


def test_nobody_is_recorded_over_noon() -> None:
    one = make("A", lesson("08:30", "12:00"), lesson("14:00", "17:00", session=Session.PM))
    assert [(p.session, p.start, p.end) for p in placements([one], "cam1")] == [
        (Session.AM, at("08:15"), at("12:15")),
        (Session.PM, at("13:45"), at("17:15")),
    ]


def test_a_break_longer_than_both_margins_is_recorded() -> None:
    one = make("A", lesson("08:00", "09:00"), lesson("09:45", "11:00"))
    assert stretches([one]) == [("A", at("07:45"), at("11:15"))]


def test_classes_far_apart_keep_their_own_margins() -> None:
    one, two = make("A", lesson("08:00", "09:00")), make("B", lesson("11:00", "12:00"))
    assert stretches([one, two]) == [("A", at("07:45"), at("09:15")), ("B", at("10:45"), at("12:15"))]


def test_where_lessons_of_two_classes_overlap_the_later_one_begins_on_time() -> None:
    one, two = make("A", lesson("08:00", "10:10")), make("B", lesson("10:00", "12:00"))
    assert stretches([one, two]) == [("A", at("07:45"), at("10:00")), ("B", at("10:00"), at("12:15"))]


def test_one_cancelled_lesson_of_a_half_day_is_no_planned_time() -> None:
    one = make("A", lesson("08:00", "09:00"), lesson("10:00", "11:00", cancelled=True))
    assert time_of("cam1", one) == [(at("08:00"), at("09:00"))]
    assert stretches([one]) == [("A", at("07:45"), at("09:15"))]


def test_the_end_of_a_half_day_is_that_of_its_last_lesson_to_end() -> None:
    """Class files with such lessons are refused; the span must hold all the same."""
    one = make("A", lesson("08:00", "11:30"), lesson("09:00", "10:00"))
    assert [(s.start, s.end) for s in spans(one) if s.camera_id == "cam1"] == [(at("08:00"), at("11:30"))]


def test_what_a_camera_gives_away_on_a_later_day_is_left_out_of_the_plan() -> None:
    one = make("A", lesson("08:00", "09:00"), *(later(lesson(*x), 5) for x in (("08:00", "09:00"), ("10:00", "11:00"))))
    two = make("B", later(lesson("09:10", "09:50"), 5))
    day = timedelta(days=5)
    assert time_of("cam1", one, two)[1:] == [
        (at("08:00") + day, at("09:05") + day), (at("09:55") + day, at("11:00") + day),
    ]  # fmt: skip


def test_another_classs_margin_before_the_first_lesson_takes_no_planned_time() -> None:
    one, two = make("A", lesson("08:00", "09:00")), make("B", lesson("09:00", "10:00"))
    assert time_of("cam1", one, two) == [(at("08:00"), at("09:00"))]


def test_a_placement_holds_its_first_instant_and_not_its_last() -> None:
    one = make("A", lesson("08:00", "09:00"))
    first, last = placement_at([one], "cam1", at("07:45")), placement_at([one], "cam1", at("09:14"))
    assert first is not None and first == last
    assert placement_at([one], "cam1", at("09:15")) is None


def test_the_next_start_lies_after_the_moment_and_is_the_nearest() -> None:
    one = make("A", lesson("08:00", "09:00"), later(lesson("08:00", "09:00"), 1))
    day = timedelta(days=1)
    assert next_start([one], "cam1", at("07:45")) == at("07:45") + day, "not the start that is now"
    assert next_start([one], "cam1", at("07:44")) == at("07:45")
    assert next_start([one], "cam1", at("08:30")) == at("07:45") + day, "a class under way has more days"
    assert next_start([one], "cam1", at("08:30") + day) is None


def test_margins_reach_over_midnight() -> None:
    """A class is looked at where its lesson ended shortly before the moment's day."""
    one = make("A", lesson("22:00", "23:50", session=Session.EV))
    assert placement_at([one], "cam1", at("23:55") + timedelta(minutes=8)) is not None


def test_a_camera_records_for_its_own_rooms_lessons_alone() -> None:
    one = make("A", lesson("08:00", "09:00", "r1"), lesson("09:30", "11:00", "r2"))
    assert time_of("cam1", one) == [(at("08:00"), at("09:00"))]
    assert time_of("cam3", one) == [(at("09:30"), at("11:00"))]


def test_a_lesson_that_begins_with_another_classs_leaves_no_empty_stretch() -> None:
    """Three classes want one camera at once (an import refuses that): the one in the middle gets nothing, not an instant."""
    one, two, three = (
        make(name, lesson(*times))
        for name, times in (("A", ("07:00", "08:10")), ("B", ("08:00", "09:00")), ("C", ("08:00", "10:00")))
    )
    assert stretches([one, two, three]) == [("A", at("06:45"), at("08:00")), ("C", at("08:00"), at("10:15"))]


def test_a_lesson_that_another_class_takes_wholly_is_no_planned_time() -> None:
    one, two = make("A", lesson("08:00", "09:00")), make("B", lesson("08:00", "10:00"))
    assert time_of("cam1", one, two) == []


def test_the_next_start_keeps_its_distance_from_a_class_that_is_under_way() -> None:
    one, two = make("A", lesson("08:00", "10:00")), make("B", lesson("10:10", "12:00"))
    assert next_start([one, two], "cam1", at("09:00")) == at("10:05")
