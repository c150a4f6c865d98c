"""Whether the wall clock was shifted while the agent was stopped.

A running agent sees a step against the monotonic clock, which does not survive a restart. At a start there are bounds
instead: the time cannot be before the last sign of life (in a rebuilt catalog the newest segment or look) nor before the
bureau's newest countersignature; and a camera that kept its time now differs from the box by as much as the box was shifted.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from statistics import median

from agent.catalog import Catalog
from agent.core import clock as clocks
from agent.core.clock import Clock
from agent.core.witness_text import parse_witness_text

BACK_S = 2.0
"""A start this much before the last trace is a step back; less may lie between two writes."""
SHIFT_S = 30.0
"""Cameras drift by seconds in a night; a shift must be more than that."""
_AGREE_S = 5.0
_LONGEST = timedelta(days=370)
"""A camera that lost its own time jumps by years."""
_WATCHED = timedelta(minutes=15)
_BUREAU_OFF = timedelta(seconds=60)


class StartTime:
    """For one thread. `begin` once at the start, before cameras are asked."""

    def __init__(self, catalog: Catalog, clock: Clock) -> None:
        self._catalog = catalog
        self._clock = clock
        self._begun: datetime | None = None
        self._offsets: dict[str, float] = {}

    def begin(self, now: datetime) -> None:
        """Remember how far each camera's clock was from the box's in the run before."""
        self._begun = now
        self._offsets = {
            c.camera_id: c.clock_offset_s for c in self._catalog.cameras.all() if c.clock_offset_s is not None
        }

    def find_backward_step(self, last: datetime | None, now: datetime) -> float | None:
        """Return by how many seconds at least the clock was set back since the run before ended; None where it was not.

        `last` is the last sign of life, or the newest trace in a catalog that was rebuilt. A clock that was never set is no
        step: it is set later, and that is one.
        """
        witnessed = self._find_witnessed()
        bounds = [last, witnessed - _BUREAU_OFF if witnessed else None]
        newest = max((bound for bound in bounds if bound is not None), default=None)
        if newest is None or not clocks.is_set(self._clock) or (newest - now).total_seconds() <= BACK_S:
            return None
        return (now - newest).total_seconds()

    def _find_witnessed(self) -> datetime | None:
        """Return the newest time by the bureau's clock that a countersignature carries."""
        newest = self._catalog.witnesses.newest()
        try:
            return parse_witness_text(newest.text).time if newest else None
        except ValueError:
            return None

    def find_shift(self, now: datetime) -> float | None:
        """Return by how many seconds the box was shifted against cameras that kept their time; None where not known, once.

        One camera alone may itself have been set: it counts only while the box's clock is not synchronised.
        """
        if self._begun is None or not timedelta(0) <= now - self._begun < _WATCHED:
            self._offsets.clear()
            return None
        shifts = []
        for camera in self._catalog.cameras.all():
            seen = self._catalog.cameras.seen_at(camera.camera_id)
            before = self._offsets.get(camera.camera_id)
            if before is not None and camera.clock_offset_s is not None and seen is not None and seen >= self._begun:
                shifts.append(before - camera.clock_offset_s)
        if not shifts or (len(shifts) == 1 and self._clock.trust() == "trusted"):
            return None
        middle = median(shifts)
        agree = all(abs(shift - middle) <= _AGREE_S for shift in shifts)
        if not agree or not SHIFT_S < abs(middle) < _LONGEST.total_seconds():
            return None
        self._offsets.clear()
        return middle
