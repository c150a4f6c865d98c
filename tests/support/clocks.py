"""The fake clock of the tests: it stands still until a test moves it."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta

from agent.clock import Trust

MORNING = datetime(2026, 11, 23, 1, 0, tzinfo=UTC)
"""09:00 in Shanghai, on the day of the tests' classes."""


class HandClock:
    """`time` is what `now` returns, `ticks` what `monotonic` returns; `wait` moves both without waiting."""

    def __init__(self, now: datetime = MORNING) -> None:
        self.time = now
        self.ticks = 1000.0

    def now(self) -> datetime:
        return self.time

    def monotonic(self) -> float:
        return self.ticks

    def wait(self, stop: threading.Event, seconds: float) -> bool:
        self.go(seconds)
        return stop.is_set()

    def trust(self) -> Trust:
        return "trusted"

    def go(self, seconds: float) -> None:
        """Let so many seconds pass."""
        self.time += timedelta(seconds=seconds)
        self.ticks += seconds

    def go_to(self, moment: datetime) -> None:
        self.go((moment - self.time).total_seconds())
