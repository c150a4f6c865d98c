"""The segments being written: the current one, and the one before it while its sound may still come.

Sound comes in its own packets, sometimes late, so at a cut the old file stays open until the sound has passed the cut:
nothing is lost, nothing is written twice. The same goes for pictures of an open group, which come behind the key picture of
the new file and are shown before it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from agent.catalog import Catalog
from agent.core.clock import Clock
from agent.core.errors import DriveError, Shortage
from agent.media.containers import MediaPacket
from agent.recording.assignment import Assignment
from agent.recording.finisher import Finisher, FinishJob
from agent.recording.wall_clock import to_instant
from agent.recording.writer import SegmentWriter
from agent.rtsp.media_unit import MediaUnit
from agent.rtsp.payload.picture_format import PictureFormat

LATE_SOUND = 1.0
"""Seconds that a segment stays open for late sound after the next one has begun."""


class PictureHole(NamedTuple):
    """A stretch without pictures."""

    start: datetime
    end: datetime


@dataclass
class OpenSegment:
    """A segment being written.

    started     wall clock of its first picture
    wall_zero   wall clock (Unix seconds) of the time line's zero
    last_end    where on the time line its last picture ends
    until       where on the time line its plan ends
    """

    writer: SegmentWriter
    segment_id: int
    assignment: Assignment
    started: datetime
    wall_zero: float
    picture: PictureFormat
    last_end: float
    until: float

    def instant(self, at: float) -> datetime:
        """Return the wall clock of a place on the time line."""
        return to_instant(self.wall_zero + at)

    @property
    def end(self) -> datetime:
        """Wall clock of the end of its last picture."""
        return self.instant(self.last_end)

    def hole(self, until: float) -> PictureHole:
        """Return the hole from its last picture to a place on the time line."""
        return PictureHole(self.end, self.instant(until))


class SegmentPair:
    """The current segment of a connection and the previous one. Methods raise DriveError, Shortage, CatalogError."""

    def __init__(self, finisher: Finisher, catalog: Catalog, clock: Clock) -> None:
        self._finisher, self._catalog, self._clock = finisher, catalog, clock
        self.current: OpenSegment | None = None
        self._previous: OpenSegment | None = None
        self._previous_until = 0.0
        self._waits_for_sound = False
        self._key: MediaUnit | None = None
        self._is_key_written = False

    def writers(self) -> list[SegmentWriter]:
        return [segment.writer for segment in (self.current, self._previous) if segment]

    def advance(
        self, opened: OpenSegment, seam: float | None, key: MediaUnit, *, wait_for_sound: bool
    ) -> PictureHole | None:
        """Make `opened`, which begins with the picture `key`, the current segment; return the hole before it, if there is one.

        The segment before ends where `opened` begins if that is at most `seam` seconds after its last picture. None: it
        ends with that picture in any case (the clock was stepped).
        """
        ended, overdue = self.current, self._previous
        # first: where finishing the one before fails, both are still known and get released
        self.current, self._previous = opened, ended
        if overdue is not None:
            self._finish(overdue)
        if ended is None:
            return None
        hole = _join(ended, opened, seam) if seam is not None else None
        self._previous_until = self._clock.monotonic() + LATE_SOUND
        self._waits_for_sound = wait_for_sound
        # with other parameter sets the file before cannot take it; decoded when it is shown, it has nothing behind it
        self._key = key if ended.picture == opened.picture and key.dts < key.pts else None
        self._is_key_written = False
        self._retire_unless_awaited()
        return hole

    def write_picture(self, unit: MediaUnit) -> bool:
        """Write a picture into the current file; False where the muxer refuses it.

        Pictures of an open group follow its key picture and are shown before it. They are decoded from those before too, so
        they go into the previous file, behind a copy of the key picture that is not shown there.
        """
        current, previous, key = self.current, self._previous, self._key
        assert current is not None
        if key is None or unit is key:
            return current.writer.video(unit)
        if unit.pts < key.pts and previous is not None:
            self._is_key_written = self._is_key_written or previous.writer.unseen(key)
            if self._is_key_written:
                previous.writer.video(unit)
            return True
        self._key = None
        self._retire_unless_awaited()
        return current.writer.video(unit)

    def write_sound(self, packets: Iterable[tuple[float, MediaPacket]]) -> None:
        """Write sound: what lies before the cut into the previous file, the rest into the current one."""
        for at, packet in packets:
            if self.current and at >= self.current.writer.start:
                self._waits_for_sound = False
                self._retire_unless_awaited()
                self.current.writer.audio(packet)
            elif self._previous and at >= self._previous.writer.start:
                self._previous.writer.audio(packet)

    def tick(self, now: float) -> None:
        """Finish the previous segment where its sound is overdue."""
        if self._previous and now > self._previous_until:
            self._waits_for_sound = False
            self._retire_unless_awaited()

    def end(self, sound: Iterable[tuple[float, MediaPacket]]) -> None:
        """Write the rest of the sound and finish both segments."""
        last = self.current
        try:
            self.write_sound(sound)
        finally:
            self.current = None
            try:
                self.retire()
            finally:
                if last:
                    self._finish(last)

    def _retire_unless_awaited(self) -> None:
        """Finish the previous segment where neither sound nor pictures of it may still come."""
        if self._key is None and not self._waits_for_sound:
            self.retire()

    def retire(self) -> None:
        """Finish the previous segment."""
        self._key = None
        if self._previous:
            previous, self._previous = self._previous, None
            self._finish(previous)

    def _finish(self, segment: OpenSegment) -> None:
        writer = segment.writer
        try:
            writer.close()
        except (DriveError, Shortage):
            writer.abandon()
            raise
        if writer.empty:
            writer.discard()
            self._catalog.segments.drop(segment.segment_id)
            return
        self._finisher.put(FinishJob(segment.segment_id, writer, segment.end))


def _join(ended: OpenSegment, opened: OpenSegment, seam: float) -> PictureHole | None:
    """End one segment where the next begins, unless pictures are missing between: no row claims what no file holds."""
    at = opened.writer.start
    begin = at + opened.wall_zero - ended.wall_zero
    if min(at, begin) - ended.last_end <= seam:
        ended.last_end = begin
        return None
    return ended.hole(begin)
