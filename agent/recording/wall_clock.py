"""The wall clock of one connection: at which instant its time line begins, and whether either clock has moved away."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import NamedTuple

from agent.core.clock import Clock

SLEW = 0.02
"""Seconds by which the mapping may follow the camera's clock from one segment to the next."""
STEP = 0.5
"""Seconds by which the system clock must move against the monotonic one to count as set."""
DRIFT = 1.0
"""Seconds by which the camera's stamps may run slow or fast until a new segment corrects them."""


class WallReading(NamedTuple):
    """How the time line lies on the wall clock.

    zero       Unix seconds of the time line's zero, for a segment that begins now
    stepped    the system clock was set since the reading before
    drifted    the stamps have run away from the clock by more than DRIFT
    """

    zero: float
    stepped: bool
    drifted: bool


class WallClock:
    """Maps the time line of one connection to the wall clock."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._before = self._offset()

    def read(self, floor: float, current: float | None) -> WallReading:
        """Map the time line anew.

        `floor`: least arrival minus stamp, in monotonic seconds. `current`: the zero of the newest segment, None before the
        first. The result follows the camera's clock by SLEW at most; firmware that counts pictures instead of time runs
        away from that, and then the mapping starts afresh.
        """
        offset = self._offset()
        stepped = abs(offset - self._before) > STEP
        self._before = offset
        wanted = offset + floor
        if current is None or stepped:
            return WallReading(wanted, stepped, False)
        behind = wanted - current
        if abs(behind) > DRIFT:
            return WallReading(wanted, False, True)
        return WallReading(current + max(-SLEW, min(SLEW, behind)), False, False)

    def _offset(self) -> float:
        return self._clock.now().timestamp() - self._clock.monotonic()


def to_instant(seconds: float) -> datetime:
    """Return the instant `seconds` after the Unix epoch, in UTC."""
    return datetime.fromtimestamp(seconds, UTC)
