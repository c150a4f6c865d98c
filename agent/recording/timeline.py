"""Time stamps of one stream made to run forward, whatever the camera sends. Pure: seconds in, seconds out.

A camera's stamps may jump, stand still or run backwards (restart of its clock, broken firmware). What arrived is told
from what was claimed by the difference between arrival and stamp: its least value over the last seconds (`floor`) is the
quickest way from camera to box, which no packet beats.
"""

from __future__ import annotations

from typing import NamedTuple

JUMP = 1.0
"""A packet that beats the quickest way by more than this carries a stamp that jumped."""
WINDOW = 10.0
MIN_STEP = 0.001


class Placed(NamedTuple):
    """A packet's place: `shift` seconds are to be added to its stamps. `broken`: its stamps do not follow the ones before."""

    at: float
    shift: float
    broken: bool


class Timeline:
    """The stamps of one stream. `tolerance`: how far it may step back and be left out rather than moved (sound)."""

    def __init__(self, tolerance: float = 0.0) -> None:
        self._tolerance = tolerance
        self._shift = 0.0
        self._last: float | None = None
        self._floors: list[float] = []
        self._floor = 0.0
        self._since = 0.0
        self._unbroken = 0
        self._wanted: float | None = None
        self._raw = float("inf")

    @property
    def last(self) -> float | None:
        return self._last

    @property
    def floor(self) -> float:
        """Least arrival minus stamp over the last WINDOW to twice WINDOW seconds; 0 before the first packet."""
        return self._floor

    def place(self, stamp: float, arrival: float) -> Placed | None:
        """Where a packet with decoding stamp `stamp` goes; None where it must be left out (a small step back in sound)."""
        at = stamp + self._shift
        back = self._last is not None and at <= self._last
        if back and self._last is not None and self._last - at < self._tolerance:
            return None
        broken = self._last is not None and (back or arrival - at < self._floor - JUMP)
        if broken:
            self._move(stamp, arrival)
            at = stamp + self._shift
        else:
            self._unbroken += 1
            self._raw = min(self._raw, arrival - stamp)
            self._observe(arrival, arrival - at)
        self._last = at
        return Placed(at, self._shift, broken)

    def settle(self, stamp: float, arrival: float) -> None:
        """Before a new segment that begins with `stamp`: put the stream, if it was moved, where its quickest packet since then
        says. Not where this very stamp has jumped again: `place` compares it with what was before."""
        follows = -JUMP <= arrival - stamp - self._raw < WINDOW
        if self._wanted is not None and self._unbroken >= 10 and follows:
            self._shift = self._raw - self._wanted
            self._wanted = None
            self._last = None

    def _move(self, stamp: float, arrival: float) -> None:
        assert self._last is not None
        if self._wanted is None:
            self._wanted = self._floor
        self._shift = max(arrival - self._wanted, self._last + MIN_STEP) - stamp
        self._unbroken = 0
        self._raw = float("inf")

    def _observe(self, arrival: float, offset: float) -> None:
        if not self._floors or arrival - self._since > WINDOW:
            self._floors = [*self._floors[-1:], offset]
            self._since = arrival
        self._floors[-1] = min(self._floors[-1], offset)
        self._floor = min(self._floors)
