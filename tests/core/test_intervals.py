"""Holes, their causes, and jobs that are repeated: the shared mechanisms of ledger, clips and workers."""

from __future__ import annotations

import logging
import threading
from datetime import UTC, datetime, timedelta

import pytest

from agent.core.clock import SystemClock
from agent.core.errors import CatalogError, DriveError, SiteAgentError
from agent.core.intervals import (
    bridge_pauses,
    cut_by_causes,
    fill_from_neighbours,
    find_holes,
    intersect_intervals,
    join_pieces,
    merge_intervals,
    subtract_intervals,
    sum_seconds,
)
from agent.core.periodic import ErrorLog, run_every
from tests.support.clocks import CountedClock

START = datetime(2026, 11, 23, 1, tzinfo=UTC)


def s(start: float, end: float) -> tuple[datetime, datetime]:
    return START + timedelta(seconds=start), START + timedelta(seconds=end)


def test_sets_of_intervals() -> None:
    whole = merge_intervals([s(30, 40), s(0, 10), s(10, 20), s(5, 7), s(50, 50)])
    assert whole == [s(0, 20), s(30, 40)]
    assert intersect_intervals(whole, [s(5, 35)]) == [s(5, 20), s(30, 35)]
    assert subtract_intervals([s(0, 50)], whole) == [s(20, 30), s(40, 50)]
    assert sum_seconds(whole) == 30
    assert bridge_pauses(whole, timedelta(seconds=10)) == [s(0, 40)]
    assert bridge_pauses(whole, timedelta(seconds=9)) == whole


def test_holes_are_what_nothing_covers_and_not_shorter_than_asked() -> None:
    assert find_holes(s(0, 60), [s(50, 70), s(1, 20), s(10, 40)], timedelta(seconds=2)) == [s(40, 50)]
    assert find_holes(s(0, 60), [], timedelta(seconds=2)) == [s(0, 60)]
    assert find_holes(s(0, 60), [s(-5, 61)], timedelta(seconds=2)) == []


def test_a_hole_is_cut_where_its_causes_begin_and_end_and_the_first_cause_counts() -> None:
    causes = [(s(20, 30), "a"), (s(10, 40), "b"), (s(90, 99), "c")]
    pieces = cut_by_causes(s(0, 60), causes)
    assert pieces == [(s(0, 10), None), (s(10, 20), "b"), (s(20, 30), "a"), (s(30, 40), "b"), (s(40, 60), None)]


def test_a_piece_without_a_cause_takes_the_next_one_else_the_last() -> None:
    pieces = [(s(0, 9), None), (s(9, 10), None), (s(10, 20), "a"), (s(20, 50), None)]
    assert [c for _, c in fill_from_neighbours(pieces)] == ["a", "a", "a", "a"]
    assert [c for _, c in fill_from_neighbours([(s(0, 9), None)])] == [None]


def test_a_reach_limits_the_piece_and_the_distance() -> None:
    pieces = [(s(0, 9), None), (s(9, 10), None), (s(10, 20), "a"), (s(20, 50), None)]
    assert [c for _, c in fill_from_neighbours(pieces, timedelta(seconds=10))] == [None, "a", "a", None]


def test_slivers_join_the_piece_before_them_and_equal_causes_become_one() -> None:
    def same(one: str, two: str) -> str | None:
        return one if one == two else None

    pieces = [(s(0, 0.5), "x"), (s(0.5, 5), "a"), (s(5, 5.5), "x"), (s(5.5, 9), "a"), (s(9, 20), "b")]
    assert join_pieces(pieces, timedelta(seconds=1), same) == [(s(0, 9), "a"), (s(9, 20), "b")]


def test_a_job_is_repeated_until_stop_and_waits_longer_after_an_error(caplog: pytest.LogCaptureFixture) -> None:
    clock, outcomes = CountedClock(6), [None, "web.off", "web.off", None, "web.off"]
    done: list[str | None] = []

    def job() -> None:
        done.append(outcomes[len(done)])
        if done[-1]:
            raise SiteAgentError(done[-1])

    errors = ErrorLog(logging.getLogger("agent.test"), "job: %s")
    with caplog.at_level(logging.WARNING, "agent.test"):
        run_every(clock, threading.Event(), 5.0, job, errors=errors, first_s=1.0, back_off_s=9.0)
    assert done == outcomes and clock.asked == [1.0, 5.0, 9.0, 9.0, 5.0, 9.0]
    assert len(caplog.records) == 2 and errors.failing, "once while it lasts, again after it was over"
    assert caplog.records[0].getMessage().startswith("job: ")


def test_an_error_that_is_not_expected_ends_the_loop() -> None:
    def job() -> None:
        raise DriveError("web.off")

    errors = ErrorLog(logging.getLogger("agent.test"), expected=(CatalogError,))
    with pytest.raises(DriveError):
        run_every(CountedClock(3), threading.Event(), 1.0, job, errors=errors)
    with pytest.raises(DriveError):
        run_every(CountedClock(3), threading.Event(), 1.0, job)


def test_nothing_runs_once_stop_is_set() -> None:
    stop = threading.Event()
    stop.set()
    ran: list[int] = []
    run_every(SystemClock(), stop, 1.0, lambda: ran.append(1))
    run_every(SystemClock(), stop, 1.0, lambda: ran.append(1), first_s=60.0)
    assert ran == []
