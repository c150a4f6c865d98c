"""Missing time of rooms and cameras: interval arithmetic, and the same figure wherever people read it."""

from __future__ import annotations

import itertools
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.core import gap_ledger, intervals, room_gaps
from agent.core.class_model import Lesson, Room
from agent.core.model import Gap, Session
from agent.core.schedule import Placement, list_planned_time
from agent.drive import class_gaps as book
from agent.i18n import translate_to
from tests.support.drive_factory import DAY, at, training_class

NOW = at("20:00")
WHOLE = tuple(Lesson(DAY, Session.AM, at("09:00"), at("12:00"), room, "theory") for room in ("R1", "W1"))


def place(camera: str, start: str = "09:00", end: str = "12:00", room: str = "R1") -> Placement:
    return Placement("C1", DAY, Session.AM, room, camera, at(start), at(end))


def gap(camera: str, start: str, end: str, room: str = "R1") -> Gap:
    return Gap(camera, DAY, Session.AM, at(start), at(end), "camera_offline", None, room)


def total(
    plan: list[Placement], gaps: list[Gap], now: datetime = NOW, lessons: tuple[Lesson, ...] = WHOLE
) -> room_gaps.RoomGapTotal:
    return room_gaps.sum_room_gaps(room_gaps.find_room_gaps(plan, gaps, lessons, now))


def test_two_cameras_that_fail_together_miss_their_time_once() -> None:
    plan = [place("cam1"), place("cam2")]
    found = total(plan, [gap("cam1", "09:00", "12:00"), gap("cam2", "09:00", "12:00")])
    assert found.seconds == 3 * 3600
    assert found.cameras == (("R1", "cam1", 10800.0), ("R1", "cam2", 10800.0))


def test_one_camera_of_two_leaves_the_room_with_video() -> None:
    found = total([place("cam1"), place("cam2")], [gap("cam2", "09:20", "09:35")])
    assert (found.seconds, found.rooms, found.cameras) == (0, (("R1", 0.0, 0.0),), (("R1", "cam2", 900.0),))


def test_only_the_time_that_no_camera_saw_is_the_rooms() -> None:
    plan = [place("cam1"), place("cam2"), place("cam3")]
    holes = [gap("cam1", "09:00", "10:00"), gap("cam2", "09:30", "11:00"), gap("cam3", "09:45", "10:30")]
    assert total(plan, holes).seconds == 15 * 60


def test_a_camera_that_another_class_had_did_not_film_the_room() -> None:
    """cam2 was this class's until 10:00 only: afterwards cam1 alone decides."""
    found = total([place("cam1"), place("cam2", end="10:00")], [gap("cam1", "09:30", "10:30")])
    assert found.seconds == 30 * 60


def test_rooms_at_the_same_hour_are_named_and_not_added() -> None:
    plan = [place("cam1"), place("cam2", room="W1")]
    found = total(plan, [gap("cam1", "09:00", "10:00"), gap("cam2", "09:30", "10:30", "W1")])
    assert (found.seconds, found.rooms) == (90 * 60, (("R1", 3600.0, 3600.0), ("W1", 3600.0, 3600.0)))
    cls = training_class()
    cls = replace(cls, rooms=(Room("R1", "理论教室", "theory", ("cam1",)), Room("W1", "车间", "practice", ("cam2",))))
    assert (
        book.describe_room_gaps(found, cls, lambda k, **p: translate_to("zh", k, **p))
        == "理论教室 60 分钟、车间 60 分钟"
    )


def test_breaks_are_told_apart_and_cancelled_lessons_are_none() -> None:
    """A morning of 200 minutes with 20 of them break: 180 minutes of lessons."""
    plan = [place("cam1", "08:30", "11:50"), place("cam2", "08:30", "11:50")]
    lessons = tuple(
        Lesson(DAY, Session.AM, at(a), at(b), "R1", "theory", cancelled=gone)
        for a, b, gone in (("08:30", "10:00", False), ("10:20", "11:50", False), ("10:00", "10:20", True))
    )
    found = total(plan, [gap(c, "08:30", "11:50") for c in ("cam1", "cam2")], lessons=lessons)
    assert (found.seconds, found.lesson_seconds) == (200 * 60, 180 * 60)
    said = book.describe_room_gaps(found, training_class(), lambda k, **p: translate_to("zh", k, **p))
    assert said == "200 分钟（其中授课时间 180 分钟）"


def test_what_is_still_to_come_is_not_missing() -> None:
    assert total([place("cam1")], [gap("cam1", "09:00", "09:30")], at("09:30")).seconds == 1800
    assert total([place("cam1")], [], at("08:00")).rooms == ()


def test_days_and_half_days_of_a_class() -> None:
    plan = list_planned_time([training_class()], "C1")
    found = room_gaps.find_room_gaps(plan, gap_ledger.find_gaps(plan, [], [], now=NOW), training_class().lessons, NOW)
    days = {(x.date, x.session) for x in found}
    one = [room_gaps.sum_room_gaps(found, *key).seconds for key in days]
    assert room_gaps.sum_room_gaps(found).seconds == sum(one) > 0
    assert all(seconds <= 5 * 3600 for seconds in one)


edges = st.lists(st.tuples(st.integers(0, 60), st.integers(0, 60)), max_size=6)


@given(edges, edges)
def test_interval_arithmetic_agrees_with_sets_of_minutes(
    one: list[tuple[int, int]], two: list[tuple[int, int]]
) -> None:
    def stretches(spans: list[tuple[int, int]]) -> list[room_gaps.Stretch]:
        return [(NOW + timedelta(minutes=a), NOW + timedelta(minutes=b)) for a, b in spans]

    def minutes(found: list[room_gaps.Stretch]) -> set[int]:
        return {m for a, b in found for m in range((a - NOW).seconds // 60, (b - NOW).seconds // 60)}

    a, b = intervals.merge_intervals(stretches(one)), intervals.merge_intervals(stretches(two))
    assert minutes(a) == {m for x, y in one for m in range(x, y)}
    assert minutes(intervals.intersect_intervals(a, b)) == minutes(a) & minutes(b)
    assert minutes(intervals.subtract_intervals(a, b)) == minutes(a) - minutes(b)
    for found in (a, b, intervals.intersect_intervals(a, b), intervals.subtract_intervals(a, b)):
        assert all(x < y for x, y in found) and all(x[1] <= y[0] for x, y in itertools.pairwise(found))


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0, "0"),
        (0.04, "不到 1 秒"),
        (1, "1 秒"),
        (59.4, "59 秒"),
        (59.7, "1 分钟"),
        (435 * 60, "435 分钟"),
        (99, "1.6 分钟"),
    ],
)
def test_lengths_in_words(seconds: float, said: str) -> None:
    assert book.format_duration(seconds, lambda k, **p: translate_to("zh", k, **p)) == said


def test_a_gap_within_a_second_shows_its_tenths() -> None:
    short = replace(gap("cam1", "09:00", "09:00"), start=at("09:00:56.230"), end=at("09:00:56.810"))
    assert book.format_gap_times(short, at("09:00").tzinfo)[0][5:] == ":56.2"  # type: ignore[arg-type]
    assert book.format_gap_times(short, at("09:00").tzinfo)[1][5:] == ":56.9"  # type: ignore[arg-type]
