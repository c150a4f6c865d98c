"""The stamps of pictures: those that jump are moved, so that the connection's time line runs on."""

from __future__ import annotations

from typing import NamedTuple

from agent.recording.timeline import Timeline
from agent.rtsp.media_unit import MediaUnit


class RepairedPicture(NamedTuple):
    """Where a picture lies on the connection's time line, in seconds.

    at        when it is shown
    length    how long it is shown
    step      time since the picture before it, in order of decoding; None where there is nothing to compare with
    moved     its stamps did not follow the ones before, so it was put where it arrived
    """

    at: float
    length: float
    step: float | None
    moved: bool


class StampRepair:
    """Repairs the stamps of one stream of pictures.

    `tick`: seconds that one step of a stamp lasts.
    """

    def __init__(self, tick: float) -> None:
        self._tick = tick
        self._line = Timeline()

    @property
    def floor(self) -> float:
        """Least arrival minus stamp; see Timeline."""
        return self._line.floor

    @property
    def shift(self) -> float:
        """Seconds that are added to the stamps now."""
        return self._line.shift

    def repair(self, unit: MediaUnit, arrival: float, *, settle: bool) -> RepairedPicture:
        """Move the picture's stamps where they do not follow the ones before; return where it now lies.

        `settle`: a new segment may begin here, so a stream that was moved may be put right; see Timeline.settle.
        """
        tick, line = self._tick, self._line
        stamp = unit.dts * tick
        if settle:
            line.settle(stamp, arrival)
        before = line.last
        placed = line.place(stamp, arrival)
        assert placed is not None  # a time line without tolerance leaves nothing out
        if placed.shift:
            shift = round(placed.shift / tick)
            unit.pts += shift
            unit.dts += shift
        step = None if before is None else placed.at - before
        return RepairedPicture(unit.pts * tick, unit.duration * tick, step, placed.broken)
