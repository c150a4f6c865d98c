"""The stamps of pictures: missing ones filled in, and those that jump moved so that the connection's time line runs on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from agent.media.containers import MediaPacket
from agent.recording.timeline import Timeline

MAX_PENDING = 50
"""How many pictures without a stamp may wait for one that has a stamp."""


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

    Each packet goes through `fill`, which returns those that can go on, and each of these through `repair`.
    `tick`: seconds that one step of a stamp lasts. `frame`: nominal seconds between two pictures.
    """

    def __init__(self, tick: float, frame: float) -> None:
        # a plain number: making a Fraction of each packet's time base would cost more than the rest
        self._tick = tick
        self._frame = frame
        self._line = Timeline()
        self._shift = 0.0
        self._pending: list[tuple[MediaPacket, float]] = []

    @property
    def floor(self) -> float:
        """Least arrival minus stamp; see Timeline."""
        return self._line.floor

    def fill(self, packet: MediaPacket, arrival: float) -> Sequence[tuple[MediaPacket, float]]:
        """Return the packets that now have both stamps, with their arrivals, in order.

        FFmpeg leaves the first packet, and the first after a silence, without a stamp. They wait, MAX_PENDING at most, and
        are counted back from the next packet that has one.
        """
        if packet.pts is not None and packet.dts is not None and not self._pending:
            return ((packet, arrival),)
        if packet.pts is None and len(self._pending) < MAX_PENDING:
            self._pending.append((packet, arrival))
            return ()
        step = packet.duration or round(self._frame / self._tick)
        if packet.pts is None:
            last = (self._line.last or 0.0) - self._shift
            packet.pts = round(last / self._tick) + step * (MAX_PENDING + 1)
        if packet.dts is None:
            packet.dts = packet.pts
        for number, (early, _) in enumerate(reversed(self._pending), 1):
            early.pts = early.dts = packet.dts - number * step
        filled, self._pending = [*self._pending, (packet, arrival)], []
        return filled

    def repair(self, packet: MediaPacket, arrival: float, *, settle: bool) -> RepairedPicture:
        """Move the packet's stamps where they do not follow the ones before; return where it now lies.

        `settle`: a new segment may begin here, so a stream that was moved may be put right; see Timeline.settle.
        """
        assert packet.pts is not None and packet.dts is not None
        tick, line = self._tick, self._line
        stamp = packet.dts * tick
        if settle:
            line.settle(stamp, arrival)
        before = line.last
        placed = line.place(stamp, arrival)
        assert placed is not None  # a time line without tolerance leaves nothing out
        if placed.shift:
            shift = round(placed.shift / tick)
            packet.pts += shift
            packet.dts += shift
        self._shift = placed.shift
        length = (packet.duration or 0) * tick or self._frame
        return RepairedPicture(packet.pts * tick, length, None if before is None else placed.at - before, placed.broken)
