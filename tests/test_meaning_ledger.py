"""Reasons of gaps: which event explains which hole, of which camera, and when it is over."""

from __future__ import annotations

from datetime import timedelta

from agent import ledger
from tests.test_gaps_ledger import at, event, place, run, segment

WHOLE = ("09:00:00", "10:00:00")


def test_a_long_hole_beside_a_short_event_is_not_explained_by_it() -> None:
    down = event(1, "camera.down", "09:19", "09:20", "cam1")
    restart = event(2, "power.lost", "09:19", "09:19:50")
    assert run([segment("08:50", "09:20:10")], [down, restart])[0][2:] == ("camera_offline", None)


def test_of_two_events_beside_a_short_hole_the_better_one_explains() -> None:
    events = [event(1, "power.lost", "09:19", "09:20"), event(2, "camera.down", "09:19", "09:20", "cam1")]
    film = [segment("08:50", "09:20:10"), segment("09:20:30", "10:01")]
    assert run(film, events)[0][2:] == ("power_loss", 1)
    assert run(film, [event(3, "drive.full", "09:20:50", "09:30")])[0][2:] == ("drive_full", 3)
    assert run(film, [event(3, "drive.full", "09:21:50", "09:30")])[0][2:] == ("camera_offline", None)


def test_another_cameras_trouble_or_verdict_ends_nothing_and_explains_nothing() -> None:
    events = [
        event(1, "stream.stalled", "09:05", None, "cam1"),
        event(2, "camera.down", "09:10", None, "cam2"),
    ]
    assert run([segment("08:50", "09:05")], events) == [("09:05:00", "10:00:00", "stream_stalled", 1)]
    verdicts = [
        event(1, "camera.verdict", "08:00", None, "cam1", verdict="refused"),
        event(2, "camera.verdict", "09:10", None, "cam2", verdict="admitted"),
    ]
    assert run([], verdicts) == [(*WHOLE, "not_admitted", 1)]
    assert run([], [event(2, "stream.stalled", "08:00", None, "cam2")]) == [(*WHOLE, "camera_offline", None)]


def test_a_trouble_ends_where_the_cameras_next_one_begins() -> None:
    events = [event(1, "stream.stalled", "09:05", None, "cam1"), event(2, "camera.down", "09:10", None, "cam1")]
    assert run([segment("08:50", "09:05")], events) == [
        ("09:05:00", "09:10:00", "stream_stalled", 1),
        ("09:10:00", "10:00:00", "camera_offline", 2),
    ]
    admitted = event(3, "camera.verdict", "09:20", None, "cam1", verdict="admitted")
    assert run([segment("08:50", "09:05")], [events[0], admitted]) == [("09:05:00", "10:00:00", "stream_stalled", 1)]


def test_of_two_events_at_one_instant_the_later_one_ends_the_earlier() -> None:
    events = [event(1, "stream.stalled", "09:00", None, "cam1"), event(2, "camera.down", "09:00", None, "cam1")]
    assert run([], events) == [(*WHOLE, "camera_offline", 2)]


def test_what_a_start_of_the_agent_ends() -> None:
    start = event(2, "agent.started", "09:10")
    verdict = event(1, "camera.verdict", "08:00", None, "cam1", verdict="refused")
    assert run([], [verdict, start]) == [(*WHOLE, "not_admitted", 1)]
    drive = event(1, "drive.missing", "08:55", None)
    found = run([], [drive, start])
    assert found[0] == ("09:00:00", "09:10:00", "drive_missing", 1)
    assert found[1][2:] == ("camera_offline", None)
    returned = event(2, "drive.returned", "09:10")
    assert run([], [drive, returned])[0] == ("09:00:00", "09:10:00", "drive_missing", 1)


def test_a_class_that_is_known_explains_no_later_hole() -> None:
    filed = event(9, "class.approved", "09:10", class_id="C1")
    assert run([segment("09:10", "09:20")], [filed]) == [
        ("09:00:00", "09:10:00", "schedule", 9),
        ("09:20:00", "10:00:00", "camera_offline", None),
    ]


def test_an_agent_that_is_down_now_keeps_the_older_reasons() -> None:
    lost = event(1, "power.lost", "09:10", "09:20")
    film = [segment("08:50", "09:10"), segment("09:20", "09:30")]
    found = ledger.gaps([place()], film, [lost], now=at("09:50"), down_since=at("09:30"))
    assert [(g.reason, g.event) for g in found] == [("power_loss", 1), ("agent_down", None)]


def test_that_the_agent_is_down_now_explains_better_than_what_it_saw_before() -> None:
    down = event(1, "camera.down", "09:25", None, "cam1")
    found = ledger.gaps([place()], [segment("08:50", "09:25")], [down], now=at("09:50"), down_since=at("09:30"))
    assert [(g.reason, g.start) for g in found] == [("camera_offline", at("09:25")), ("agent_down", at("09:30"))]


def test_a_long_segment_before_short_ones_still_covers() -> None:
    rows = [("08:00", "10:30"), ("08:10", "08:20"), ("08:30", "08:40"), ("08:45", "08:50")]
    assert run([segment(*row) for row in rows], []) == []


def test_a_segment_inside_another_opens_no_hole() -> None:
    assert run([segment("08:50", "09:50"), segment("09:10", "09:20"), segment("09:50", "10:01")], []) == []


def test_a_piece_of_exactly_one_frame_is_a_gap_at_the_end_and_parts_two_holes() -> None:
    assert len(run([segment("08:50", "09:59:59.960")], [])) == 1
    film = [segment("08:50", "09:10"), segment("09:20", "09:20:00.040"), segment("09:30", "10:01")]
    assert [(x[0], x[1]) for x in run(film, [])] == [("09:10:00", "09:20:00"), ("09:20:00", "09:30:00")]


def test_a_cause_of_exactly_the_holes_length_explains_it() -> None:
    down = event(1, "drive.full", "09:10", "09:40")
    assert run([segment("08:50", "09:10"), segment("09:40", "10:01")], [down]) == [
        ("09:10:00", "09:40:00", "drive_full", 1)
    ]


def test_a_step_back_of_the_clock_explains_fifteen_seconds_to_each_side_alone() -> None:
    step = event(5, "clock.stepped", "09:30", seconds=-600.0)
    assert run([], [step]) == [
        ("09:00:00", "09:29:45", "camera_offline", None),
        ("09:29:45", "09:30:15", "clock_step", 5),
        ("09:30:15", "10:00:00", "camera_offline", None),
    ]


def test_a_step_of_unknown_length_explains_as_little() -> None:
    assert run([], [event(5, "clock.stepped", "09:30")])[1] == ("09:29:45", "09:30:15", "clock_step", 5)


def test_a_short_uncaused_piece_goes_to_the_cause_behind_it_and_a_long_one_to_nobody() -> None:
    events = [event(1, "drive.full", "09:10", "09:20"), event(2, "stream.stalled", "09:20:30", "09:30", "cam1")]
    assert run([segment("08:50", "09:10"), segment("09:30", "10:01")], events) == [
        ("09:10:00", "09:20:00", "drive_full", 1),
        ("09:20:00", "09:30:00", "stream_stalled", 2),
    ]
    events[1] = event(2, "stream.stalled", "09:21:01", "09:30", "cam1")
    assert run([segment("08:50", "09:10"), segment("09:30", "10:01")], events)[1] == (
        "09:20:00", "09:21:01", "camera_offline", None,
    )  # fmt: skip


def test_a_plan_that_is_empty_or_still_to_come_has_no_gap() -> None:
    assert run([], [], plan=[place("09:00", "09:00")]) == []
    assert run([], [], now=at("09:00")) == []
    assert ledger.uncovered((at("09:00"), at("09:00") + timedelta(milliseconds=39)), [], now=at("20:00")) == []


def test_a_sliver_goes_to_the_piece_before_it_to_the_millisecond() -> None:
    events = [
        event(2, "drive.missing", "09:10", "09:20"),
        event(3, "stream.stalled", "09:20", "09:20:00.900", "cam1"),
        event(4, "agent.down", "09:20:00.900", "09:21"),
    ]
    found = ledger.gaps([place()], [segment("08:50", "09:10"), segment("09:21", "10:01")], events, now=at("20:00"))
    assert [(g.start, g.end, g.reason) for g in found] == [
        (at("09:10"), at("09:20:00.900"), "drive_missing"),
        (at("09:20:00.900"), at("09:21"), "agent_down"),
    ]
    begun = [
        event(1, "camera.down", "09:10", "09:10:00.300", "cam1"),
        event(2, "drive.missing", "09:10:00.300", "09:20"),
    ]
    found = ledger.gaps([place()], [segment("08:50", "09:10"), segment("09:20", "10:01")], begun, now=at("20:00"))
    assert [(g.start, g.end, g.reason, g.event) for g in found] == [(at("09:10"), at("09:20"), "drive_missing", 2)]
