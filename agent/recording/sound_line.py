"""Evens out the stamps of sound. Pure: seconds in, seconds out.

Sound has no pauses: a packet begins where the one before ended, whatever its stamp says. Cameras that stamp by their wall
clock jitter by tens of milliseconds, and senders step back a little when they correct their clock. So the line goes by the
length of the packets and follows the stamps slowly; only what lies far off is a gap, or a packet that cannot be placed.
"""

from __future__ import annotations

MAX_STEP_BACK = 1.1
"""Seconds by which stamps may step back and packets be left out until they have caught up; beyond lies another clock."""
JUMP = 1.0
"""Seconds forward beyond which stamps have jumped, or nothing was sent for a while."""
MAX_JITTER = 0.15
"""Seconds by which a packet may be early, and in the beginning late, and is still taken as the next one."""
MAX_SLEW = 0.015
"""Seconds that the line moves for one packet at most: less than a gap, see MIN_GAP."""
MIN_GAP = 0.02
"""Seconds of lateness that are a gap where stamps do not jitter."""
_MAX_SETTLED_JITTER = 0.1
_GAIN, _JITTER_GAIN = 0.05, 1 / 16
_FIRST_JITTER = 0.025
_SETTLED = 8


class SoundLine:
    """The places of one track's packets."""

    def __init__(self) -> None:
        self._next: float | None = None
        self._stamp = 0.0
        self._count = 0
        self._jitter = _FIRST_JITTER

    def place(self, stamp: float, duration: float) -> float | None:
        """Return where a packet of `duration` seconds begins; None: leave it out, it lies on what is there already."""
        at = stamp if self._next is None else self._follow(stamp, duration, self._next)
        if at is not None:
            self._next, self._stamp = at + duration, stamp
        return at

    def _follow(self, stamp: float, duration: float, expected: float) -> float | None:
        late = stamp - expected
        if stamp == self._stamp and duration:
            return expected  # its clock stands still: only lengths say where it goes
        if late > JUMP or late < -MAX_STEP_BACK or late >= self._get_limit() or not duration:
            self._count = 0
            return stamp
        if late < -MAX_JITTER:
            return None
        self._count += 1
        self._jitter += (abs(late) - self._jitter) * _JITTER_GAIN
        slew = late * max(_GAIN, 1 / (self._count + 1))
        return expected + max(min(slew, MAX_SLEW), -MAX_SLEW, -duration / 2)

    def _get_limit(self) -> float:
        """Return the lateness from which on sound is missing before a packet."""
        if self._count < _SETTLED:
            return MAX_JITTER
        return min(max(4 * self._jitter, MIN_GAP), _MAX_SETTLED_JITTER)
