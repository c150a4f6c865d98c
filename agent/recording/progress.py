"""Whether a recorder still goes on, seen from other threads."""

from __future__ import annotations

import threading

from agent.core.clock import Clock


class Progress:
    """The signs of life of one recorder. `moved`: monotonic seconds at which it last went on."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._abandoned = threading.Event()
        self.moved = clock.monotonic()

    def touch(self) -> None:
        """Note that the recorder has gone on."""
        self.moved = self._clock.monotonic()

    def still_s(self) -> float:
        """Return the seconds since it last went on."""
        return self._clock.monotonic() - self.moved

    def abandon(self) -> None:
        """Have the recorder end as soon as it comes back from where it hangs."""
        self._abandoned.set()

    def is_over(self, stop: threading.Event) -> bool:
        """Return True where the recorder has to end."""
        return stop.is_set() or self._abandoned.is_set()
