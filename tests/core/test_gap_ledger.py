"""The gap ledger as a table: plan, segments and events in; gaps with reasons out."""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.core import gap_ledger
from agent.core.model import Event, Segment, Session
from agent.core.schedule import Placement, list_planned_time
from tests.support.drive_factory import DAY, at, training_class

NOW = at("20:00")


def place(start: str = "09:00", end: str = "10:00", camera: str = "cam1") -> Placement:
    return Placement("C1", DAY, Session.AM, "R1", camera, at(start), at(end))


def segment(start: str, end: str | None, camera: str = "cam1") -> Segment:
    return Segment(
        1, "D1", "p", "t", "finished", "C1", DAY, Session.AM, "R1", camera, at(start), at(end) if end else None
    )


def event(
    number: int, kind: str, start: str, until: str | None = None, camera: str | None = None, **detail: Any
) -> Event:
    return Event(number, at(start), kind, camera, None, at(until) if until else None, detail)


def run(
    segments: list[Segment], events: list[Event], now: datetime = NOW, plan: list[Placement] | None = None
) -> list[tuple[str, str, str, int | None]]:
    found = gap_ledger.find_gaps(plan or [place()], segments, events, now=now)
    return [(_local(g.start), _local(g.end), g.reason, g.event) for g in found]


def _local(moment: datetime) -> str:
    return (moment + timedelta(hours=8)).strftime("%H:%M:%S")


def test_a_clean_hour_has_an_empty_ledger() -> None:
    assert run([segment("08:45", "09:30"), segment("09:30:00.030", "10:15")], []) == []


def test_less_than_a_frame_is_no_gap_and_a_frame_is() -> None:
    assert run([segment("09:00:00.039", "10:00")], []) == []
    assert len(run([segment("09:00:00.040", "10:00")], [])) == 1
    # a sliver of video does not part a gap in two
    found = run([segment("08:50", "09:10"), segment("09:20", "09:20:00.020"), segment("09:30", "10:01")], [])
    assert found == [("09:10:00", "09:30:00", "camera_offline", None)]


@pytest.mark.parametrize(
    ("kind", "reason"),
    [("agent.down", "agent_down"), ("power.lost", "power_loss"), ("drive.missing", "drive_missing"),
     ("drive.wrong", "drive_missing"), ("drive.read_only", "drive_missing"), ("drive.error", "drive_missing"),
     ("drive.full", "drive_full"), ("camera.down", "camera_offline"), ("stream.stalled", "stream_stalled"),
     ("camera.refused", "not_admitted")],
)  # fmt: skip
def test_every_reason(kind: str, reason: str) -> None:
    # noticed ten seconds late, recording again five seconds after the end
    happened = event(7, kind, "09:10:10", "09:20", "cam1" if kind.startswith(("camera", "stream")) else None)
    found = run([segment("08:50", "09:10"), segment("09:20:05", "10:01")], [happened])
    assert found == [("09:10:00", "09:20:05", reason, 7)]


def test_a_hole_is_cut_where_its_cause_changes() -> None:
    events = [
        event(1, "camera.down", "09:10:05", "09:15", "cam1"),
        event(2, "agent.down", "09:15", "09:20"),
        event(3, "camera.down", "09:20:01", "09:25", "cam1"),
        event(4, "camera.down", "09:00", "10:00", "cam2"),
    ]
    assert run([segment("08:50", "09:10"), segment("09:25:02", "10:01")], events) == [
        ("09:10:00", "09:15:00", "camera_offline", 1),
        ("09:15:00", "09:20:00", "agent_down", 2),
        ("09:20:00", "09:25:02", "camera_offline", 3),
    ]


def test_touching_pieces_of_one_reason_are_one() -> None:
    """As a camera that was away is seen: unreachable, then down, then an attempt that failed in other words."""
    events = [
        event(1, "camera.verdict", "09:10", "09:10:10", "cam1", verdict="unreachable"),
        event(2, "camera.down", "09:10:10", "09:11:14", "cam1"),
        event(3, "camera.down", "09:11:14", "09:11:14.400", "cam1"),
    ]
    film = [segment("08:50", "09:10"), segment("09:11:14.400", "10:01")]
    assert run(film, events) == [("09:10:00", "09:11:14", "camera_offline", 1)]


@pytest.mark.parametrize("kind", ["agent.down", "drive.missing", "stream.stalled"])
def test_the_same_holds_for_every_reason(kind: str) -> None:
    camera = "cam1" if kind.startswith("stream") else None
    events = [event(n, kind, f"09:{n}0", f"09:{n + 1}0", camera) for n in (1, 2, 3)]
    found = run([segment("08:50", "09:10"), segment("09:40", "10:01")], events)
    assert [(x[0], x[1], x[3]) for x in found] == [("09:10:00", "09:40:00", 1)]


def test_the_cause_is_the_first_event_that_is_known() -> None:
    events = [event(4, "camera.down", "09:20", "09:30", "cam1")]
    assert run([segment("09:30", "10:01")], events) == [("09:00:00", "09:30:00", "camera_offline", 4)]


def test_less_than_a_second_of_another_reason_is_no_row_of_its_own() -> None:
    events = [
        event(1, "camera.down", "09:10", "09:10:00.300", "cam1"),
        event(2, "drive.missing", "09:10:00.300", "09:20"),
        event(3, "stream.stalled", "09:20", "09:20:00.900", "cam1"),
        event(4, "agent.down", "09:20:00.900", "09:21"),
    ]
    assert run([segment("08:50", "09:10"), segment("09:21", "10:01")], events) == [
        ("09:10:00", "09:20:00", "drive_missing", 2),
        ("09:20:00", "09:21:00", "agent_down", 4),
    ]


def test_power_explains_better_than_the_camera() -> None:
    events = [event(1, "camera.down", "09:05", None, "cam1"), event(2, "power.lost", "09:10", "09:12")]
    assert run([segment("08:50", "09:10"), segment("09:12:10", "10:01")], events) == [
        ("09:10:00", "09:12:00", "power_loss", 2),
        ("09:12:00", "09:12:10", "camera_offline", 1),
    ]


def test_what_a_crash_left_open_ends_with_the_next_start() -> None:
    events = [
        event(1, "stream.stalled", "08:00", None, "cam1"),
        event(2, "agent.started", "08:30"),
        event(3, "drive.missing", "08:35", None),
        event(4, "drive.returned", "08:36"),
    ]
    assert run([segment("08:50", "09:10"), segment("09:20", "10:01")], events)[0][2:] == ("camera_offline", None)


def test_verdicts_hold_until_the_next() -> None:
    events = [
        event(1, "camera.verdict", "08:00", None, "cam1", verdict="refused"),
        event(2, "camera.refused", "08:45", None, "cam1"),
        event(3, "camera.verdict", "09:30", None, "cam1", verdict="unreachable"),
        event(4, "camera.verdict", "09:40", None, "cam1", verdict="admitted"),
    ]
    assert run([segment("09:40:03", "10:01")], events) == [
        ("09:00:00", "09:30:00", "not_admitted", 1),
        ("09:30:00", "09:40:00", "camera_offline", 3),
        ("09:40:00", "09:40:03", "not_admitted", 2),
    ]


def test_clock_step_forward() -> None:
    step = event(5, "clock.stepped", "09:30:03", seconds=600.0)
    assert run([segment("08:50", "09:20"), segment("09:30:01", "10:01")], [step]) == [
        ("09:20:00", "09:30:01", "clock_step", 5)
    ]


def test_a_class_that_was_filed_late() -> None:
    filed = event(9, "class.approved", "09:30", class_id="C1")
    assert run([segment("09:30:02", "10:01")], [filed]) == [("09:00:00", "09:30:02", "schedule", 9)]
    other = event(9, "class.approved", "09:30", class_id="C2")
    assert run([segment("09:30:02", "10:01")], [other]) == [("09:00:00", "09:30:02", "camera_offline", None)]


def test_a_cause_explains_its_own_time_and_a_minute_more() -> None:
    lost = event(1, "power.lost", "09:30", "09:32")
    assert run([], [lost]) == [
        ("09:00:00", "09:30:00", "camera_offline", None),
        ("09:30:00", "09:32:00", "power_loss", 1),
        ("09:32:00", "10:00:00", "camera_offline", None),
    ]
    assert run([segment("08:50", "09:29:10"), segment("09:33", "10:01")], [lost]) == [
        ("09:29:10", "09:33:00", "power_loss", 1)
    ]
    # a short hole beside an event that ended just before it
    down = event(2, "camera.down", "09:20", "09:20:10", "cam1")
    assert run([segment("08:50", "09:20:11"), segment("09:20:20", "10:01")], [down])[0][2:] == ("camera_offline", 2)


def test_an_agent_that_does_not_run_now() -> None:
    found = gap_ledger.find_gaps([place()], [segment("08:50", "09:30")], [], now=at("09:50"), down_since=at("09:30:02"))
    assert [(g.reason, g.event, g.seconds) for g in found] == [("agent_down", None, 1200)]


def test_the_future_is_no_gap_and_the_open_segment_counts() -> None:
    assert run([segment("08:50", None)], [], now=at("09:40")) == []
    assert run([segment("08:50", "09:30")], [], now=at("09:40")) == [("09:30:00", "09:40:00", "camera_offline", None)]
    assert run([], [], now=at("08:59")) == []


def test_cancelled_lessons_and_overlapping_cameras() -> None:
    cls = training_class()
    plan = list_planned_time([cls], "C1")
    assert {p.camera_id for p in plan} == {"cam1", "cam2"} and len(plan) == 4
    found = gap_ledger.find_gaps(plan, [segment("08:00", "09:10")], [], now=NOW)
    assert sum(g.seconds for g in found) == 3 * 600


spans = st.lists(st.tuples(st.integers(0, 70), st.integers(1, 30)), max_size=8)


@settings(max_examples=150, deadline=None)
@given(
    recorded=spans,
    troubles=st.lists(
        st.tuples(st.integers(0, 70), st.integers(0, 30), st.sampled_from(sorted(gap_ledger.GAP_REASONS))), max_size=6
    ),
)
def test_recorded_and_gaps_make_the_plan(recorded: list[tuple[int, int]], troubles: list[tuple[int, int, str]]) -> None:
    """Whatever happened: the pieces are disjoint, in order, inside the plan, and fill exactly what is not recorded."""
    begin = at("08:55")

    def moment(minutes: int) -> datetime:
        return begin + timedelta(minutes=minutes)

    segments = [
        Segment(1, "D", "p", "t", "finished", "C1", DAY, Session.AM, "R1", "cam1", moment(a), moment(a + n))
        for a, n in recorded
    ]
    detail = {"seconds": 60, "class_id": "C1", "verdict": "refused"}
    events = [
        Event(i, moment(a), kind, None, None, moment(a + n) if n else None, detail)
        for i, (a, n, kind) in enumerate(troubles)
    ]
    found = gap_ledger.find_gaps([place()], segments, events, now=NOW)
    minutes = set(range(5, 65))
    for a, n in recorded:
        minutes -= set(range(a, a + n))
    assert sum(g.seconds for g in found) == pytest.approx(60 * len(minutes))
    edge = at("09:00")
    for gap in found:
        assert edge <= gap.start < gap.end <= at("10:00")
        assert gap.reason in gap_ledger.GAP_REASONS.values()
        edge = gap.end


def test_the_ledger_of_a_long_class_is_soon_made() -> None:
    days, length = [timedelta(days=n) for n in range(1500)], timedelta(minutes=10)
    plan = [replace(place(), date=DAY + d, start=at("09:00") + d, end=at("10:00") + d) for d in days]
    films = [
        replace(segment("09:00", None), start=at("09:00") + d + n * length, end=at("09:00") + d + (n + 1) * length)
        for d in days
        for n in range(6)
        if (d.days, n) != (7, 3)
    ]
    open_one = replace(segment("09:00", None), start=at("09:20") + days[-1], end=None)
    begun = time.process_time()
    found = gap_ledger.find_gaps(plan, [*reversed(films), open_one], [], now=at("09:55") + days[-1])
    assert time.process_time() - begun < 1.0
    assert [(g.date, g.seconds) for g in found] == [(DAY + days[7], 600.0)]
