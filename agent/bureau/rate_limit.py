"""A limit on how much a box sends, shared by all that it sends at a time."""

from __future__ import annotations

import threading

from agent.core.clock import Clock

_BURST_S = 0.1


class RateLimit:
    """So many megabits a second; threads share it. What was not used is not saved up for longer than a moment."""

    def __init__(self, clock: Clock, mbit_per_s: float) -> None:
        self._clock = clock
        self._bytes_per_s = mbit_per_s * 1e6 / 8
        self._lock = threading.Lock()
        self._free_at = clock.monotonic()

    def wait(self, stop: threading.Event, count: int) -> bool:
        """Wait until `count` more bytes may be sent; return True as soon as `stop` is set."""
        now = self._clock.monotonic()
        with self._lock:
            self._free_at = max(self._free_at, now - _BURST_S) + count / self._bytes_per_s
            delay = self._free_at - now
        return self._clock.wait(stop, delay) if delay > 0 else stop.is_set()
