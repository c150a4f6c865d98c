"""The clock of a track: bursts of older media at the beginning."""

from __future__ import annotations

import pytest

from agent.rtsp.track_clock import TrackClock

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
