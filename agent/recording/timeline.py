"""Makes the stamps of one stream run forward, whatever the camera sends. Pure: seconds in, seconds out.

A camera's stamps may jump, stand still or run backwards (restart of its clock, broken firmware). Arrival minus stamp shows
it: the least value of that difference over the last seconds (`floor`) stands for the shortest delay from camera to box, and no
packet can be faster.
"""

from __future__ import annotations

from typing import NamedTuple

JUMP = 1.0
"""Seconds by which a packet may be faster than the shortest delay; beyond that its stamp has jumped."""
WINDOW = 10.0
"""Seconds over which the shortest delay is looked for; it is renewed after each."""
MIN_STEP = 0.001
"""Seconds between two packets where a stamp did not go on at all."""
_SETTLED = 10
"""Packets in unbroken order after which a stream that was moved may be put right."""


class PlacedPacket(NamedTuple):
    """Where a packet goes, in seconds.

    at        its place on the time line
    shift     to be added to its stamps
    broken    its stamps do not follow the ones before
    """

    at: float
    shift: float
    broken: bool


class Timeline:
    """The stamps of one stream. `tolerance`: by how many seconds it may step back and be left out, not moved (sound)."""

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
        """Place of the newest packet; None before the first, and after the stream was settled."""
        return self._last

    @property
    def floor(self) -> float:
        """Least arrival minus stamp over the last WINDOW to twice WINDOW seconds; 0 before the first packet."""
        return self._floor

    @property
    def shift(self) -> float:
        """What is added to the stamps now."""
        return self._shift

    def place(self, stamp: float, arrival: float, beside: float | None = None) -> PlacedPacket | None:
        """Return where a packet with decoding stamp `stamp` goes; None: leave it out (a small step back in sound).

        `beside`: shift of the stream on the same clock that it belongs to, which is taken where both have jumped alike.
        """
        at = stamp + self._shift
        back = self._last is not None and at <= self._last
        if back and self._last is not None and self._last - at < self._tolerance:
            return None
        # a burst of older media is quicker than anything before, too, but goes on by small steps
        leaps = self._last is not None and at - self._last > JUMP and arrival - at < self._floor - JUMP
        broken = back or leaps
        if broken:
            self._move(stamp, arrival, beside)
            at = stamp + self._shift
        else:
            self._unbroken += 1
            self._raw = min(self._raw, arrival - stamp)
            self._observe(arrival, arrival - at)
        self._last = at
        return PlacedPacket(at, self._shift, broken)

    def settle(self, stamp: float, arrival: float) -> None:
        """Before a new segment that begins with `stamp`: correct where the stream lies, if it was moved.

        It was put where the first packet after the jump arrived, which may have been late; the fastest packet since then
        shows it better. Nothing is done where this very stamp has jumped again: `place` compares it with what was before.
        """
        follows = -JUMP <= arrival - stamp - self._raw < WINDOW
        if self._wanted is not None and self._unbroken >= _SETTLED and follows:
            self._shift = self._raw - self._wanted
            self._wanted = None
            self._last = None

    def _move(self, stamp: float, arrival: float, beside: float | None) -> None:
        assert self._last is not None
        if self._wanted is None:
            self._wanted = self._floor
        self._shift = max(arrival - self._wanted, self._last + MIN_STEP) - stamp
        if beside is not None and abs(beside - self._shift) < JUMP and stamp + beside > self._last:
            self._shift = beside
        self._unbroken = 0
        self._raw = float("inf")

    def _observe(self, arrival: float, offset: float) -> None:
        if not self._floors or arrival - self._since > WINDOW:
            self._floors = [*self._floors[-1:], offset]
            self._since = arrival
        self._floors[-1] = min(self._floors[-1], offset)
        self._floor = min(self._floors)
