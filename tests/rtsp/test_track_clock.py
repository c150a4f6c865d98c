"""The clock of a track: bursts of older media at the beginning."""

from __future__ import annotations

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
