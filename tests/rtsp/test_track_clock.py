"""The clock of one track: stamps without their wrap, delays, the camera's own time."""

from __future__ import annotations

import pytest

from agent.rtsp.track_clock import WINDOW, TrackClock


def make_clock(*stamps: int) -> TrackClock:
    clock = TrackClock(90_000)
    for stamp in stamps:
        clock.advance(stamp % 2**32)
    return clock


@pytest.mark.parametrize(
    ("stamps", "ticks"),
    [
        ((77,), 0),
        ((77, 3677), 3600),
        ((2**32 - 100, 3500), 3600),
        ((5000, 1400), -3600),
        ((100, 2**32 - 3500), -3600),
        ((0, 2**31 - 1), 2**31 - 1),
        ((0, 2**31), -(2**31)),
        ((0, 2**31 - 1, 2**32 - 2, 2**31 - 3 + 2**32), 3 * (2**31 - 1)),
    ],
    ids=["first", "on", "wrap", "back", "back over the wrap", "half", "more than half", "several wraps"],
)
def test_ticks_count_from_the_first_packet(stamps: tuple[int, ...], ticks: int) -> None:
    assert make_clock(*stamps).ticks == ticks


def test_it_begins_with_the_first_packet() -> None:
    assert not make_clock().began
    assert make_clock(0).began


def test_a_report_gives_the_cameras_time() -> None:
    clock = make_clock(1000, 4600)
    assert clock.read_sender_time(0) is None
    clock.note_report(1.7e9, 4600 + 9000)
    assert clock.read_sender_time(3600 + 9000) == pytest.approx(1.7e9)
    assert clock.read_sender_time(0) == pytest.approx(1.7e9 - 0.14)


def test_a_report_before_the_first_packet_counts_from_then_on() -> None:
    clock = TrackClock(90_000)
    clock.note_report(1.7e9, 100)
    assert clock.read_sender_time(0) is None
    clock.advance(9100)
    assert clock.read_sender_time(0) == pytest.approx(1.7e9 + 0.1)


def test_the_least_delay_counts() -> None:
    clock = make_clock(0)
    for arrival in (5.0, 4.8, 5.3):
        clock.observe(arrival)
    assert clock.delay == pytest.approx(4.8)
    clock.advance(90_000)
    clock.observe(5.7)
    assert clock.delay == pytest.approx(4.7)


def test_old_delays_are_forgotten() -> None:
    clock = make_clock(0)
    clock.observe(0.0)
    for second in range(1, 25):
        clock.advance(second * 90_000)
        clock.observe(second + 0.5)
        if second <= WINDOW:
            assert clock.delay == pytest.approx(0.0)
    assert clock.delay == pytest.approx(0.5)


def test_another_source_begins_anew() -> None:
    clock = make_clock(0)
    clock.note_report(1.7e9, 0)
    clock.observe(1.0)
    clock.forget()
    assert (clock.report, clock.delay) == (None, None)
    clock.observe(3.0)
    assert clock.delay == pytest.approx(3.0)


def test_the_place_of_a_stamp_near_the_newest() -> None:
    clock = make_clock(2**32 - 50, 50)
    assert clock.find_ticks(2**32 - 150) == -100
    assert clock.find_ticks(250) == 300
    assert clock.ticks == 100


RATE = 90_000
STEP = 3600


def receive(clock: TrackClock, first: int, last: int, arrival: float) -> None:
    """Take in the pictures from `first` to before `last`, read at once."""
    for number in range(first, last):
        clock.advance(number * STEP)
    clock.observe(arrival)


def test_a_burst_that_comes_in_pieces_ends_with_the_last() -> None:
    clock = TrackClock(RATE)
    for piece, arrival in enumerate((100.0, 100.2, 100.4)):
        receive(clock, piece * 20, piece * 20 + 20, arrival)
        assert clock.is_in_burst(arrival + 0.25)
    assert not clock.is_in_burst(100.75)
    assert clock.estimate_arrival(0, 100.75) == 100.4 - 59 * 0.04


def test_small_pieces_are_a_burst_together() -> None:
    clock = TrackClock(RATE)
    for number in range(50):
        receive(clock, number, number + 1, 100 + number * 0.015)
    assert clock.is_in_burst(100.9)


def test_a_paced_stream_waits_for_a_moment() -> None:
    clock = TrackClock(RATE)
    for number in range(10):
        receive(clock, number, number + 1, 100 + number * 0.04)
    assert not clock.is_in_burst(100.36)


def test_a_clock_that_runs_fast_is_no_endless_burst() -> None:
    clock = TrackClock(RATE)
    for number in range(200):
        receive(clock, number, number + 1, 100 + number * 0.02)
    assert not clock.is_in_burst(103.99)


def test_no_burst_without_a_packet() -> None:
    assert not TrackClock(RATE).is_in_burst(100.0)


@pytest.mark.parametrize("jump", [-3600, 1.5, 9, 3600])
def test_what_came_before_a_jump_is_not_taken_for_old(jump: float) -> None:
    """It stood ten seconds early on the wall clock, and all that followed ten seconds late."""
    clock = TrackClock(RATE)
    receive(clock, 0, 100, 104.0)
    waiting, ahead = clock.ticks, round(jump * RATE / STEP)
    receive(clock, 100 + ahead, 101 + ahead, 104.04)
    assert clock.estimate_arrival(waiting, 104.05) == 104.05
    assert clock.estimate_arrival(clock.ticks, 104.05) == pytest.approx(104.04)


def test_a_clock_that_jumped_on_and_back_tells_arrivals_again() -> None:
    clock = TrackClock(RATE)
    for number, arrival in ((0, 100.0), (90_000, 100.04), (2, 100.08)):
        receive(clock, number, number + 1, arrival)
    assert clock.estimate_arrival(clock.ticks, 100.3) == pytest.approx(100.08)
