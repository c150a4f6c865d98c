"""The fake clocks of the tests."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from agent.core.clock import SystemClock, Trust

MORNING = datetime(2026, 11, 23, 1, 0, tzinfo=UTC)
"""09:00 in Shanghai, on the day of the tests' classes."""


class HandClock:
    """Stands still until a test moves it.

    `time` is what `now` returns, `ticks` what `monotonic` returns; `wait` moves both without waiting.
    """

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


class CountedClock(HandClock):
    """Ends a loop: sets its stop event in the last of `waits` waits.

    `asked` are the seconds of each wait; `each` is called in each, with its number.
    """

    def __init__(self, waits: int, now: datetime = MORNING, each: Callable[[int], None] = lambda number: None) -> None:
        super().__init__(now)
        self.waits, self.each = waits, each
        self.asked: list[float] = []

    def wait(self, stop: threading.Event, seconds: float) -> bool:
        super().wait(stop, seconds)
        self.asked.append(seconds)
        self.each(len(self.asked))
        if len(self.asked) == self.waits:
            stop.set()
        return stop.is_set()


class SteppedClock(SystemClock):
    """The machine's clock, which a test sets: `moved` is added to `now`, `ahead` (seconds) to `monotonic`."""

    def __init__(self) -> None:
        super().__init__()
        self.moved, self.ahead = timedelta(), 0.0

    def now(self) -> datetime:
        return super().now() + self.moved

    def monotonic(self) -> float:  # type: ignore[override]
        return time.monotonic() + self.ahead


class TrustedClock(SystemClock):
    """The machine's clock, whether or not the machine is synchronised."""

    def trust(self) -> Trust:
        return "trusted"


class PacketClock:
    """Moves with the packets that a test feeds; `moved` is by how many seconds somebody has set the wall clock."""

    def __init__(self, begun: datetime = MORNING) -> None:
        self.begun, self.passed, self.moved = begun, 0.0, 0.0

    def now(self) -> datetime:
        return self.begun + timedelta(seconds=self.passed + self.moved)

    def monotonic(self) -> float:
        return 1000.0 + self.passed

    def wait(self, stop: threading.Event, seconds: float) -> bool:
        return stop.wait(seconds)

    def trust(self) -> Trust:
        return "trusted"
