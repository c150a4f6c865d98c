"""Cuts the access units of one connection into segments.

A unit goes one way: Recorder, Segmenter, StampRepair (or SoundQueue), WallClock at a key frame, SegmentPair, SegmentWriter;
Syncer and Finisher bring what is written to the disk and the catalog. A part answers by what it returns and calls nothing
before it.

A segment begins at a key frame and ends where the next begins.
"""

from __future__ import annotations

from datetime import datetime

from agent.core.clock import Clock
from agent.recording.assignment import Assignment, AssignmentLookup, assignment_key
from agent.recording.context import Connection, Storage
from agent.recording.frame_interval import FrameInterval
from agent.recording.open_segment import OpenSegment, PictureHole, SegmentPair
from agent.recording.options import RecordingOptions
from agent.recording.picture_template import PictureTemplate, open_template
from agent.recording.segment_opener import SegmentOpener, SegmentStart
from agent.recording.sound import build_sound
from agent.recording.sound_queue import SoundQueue, SoundStep
from agent.recording.stamp_repair import StampRepair
from agent.recording.wall_clock import WallClock, WallReading, to_instant
from agent.recording.writer import check_space
from agent.rtsp.media_unit import MediaUnit
from agent.rtsp.payload.picture_format import PictureFormat

USUAL_RATE = 25.0
"""Pictures a second where nothing says it."""


class Segmenter:
    """Feed it every unit of a stream, with its arrival on the monotonic clock. Raises DriveError, Shortage, CatalogError.

    began                     when the connection did, on the monotonic clock
    last_video, last_sound    arrival of the newest unit of each
    hole                      the stretch without pictures that `feed` has just found, None otherwise
    over                      the plan gives this camera no class any more
    """

    def __init__(
        self, connection: Connection, storage: Storage, plan: AssignmentLookup, clock: Clock, options: RecordingOptions
    ) -> None:
        stream = connection.stream
        frame = 1 / (stream.video.rate or USUAL_RATE)
        sound = build_sound(stream.audio)
        self._storage, self._plan, self._options = storage, plan, options
        self._template: PictureTemplate | None = None
        self._stamps = StampRepair(1 / stream.video.clock_rate)
        self._clock_rate = stream.video.clock_rate
        self._interval = FrameInterval(frame, options.hole_seconds)
        self._wall = WallClock(clock)
        self._sound: SoundQueue | None = None
        if sound is not None and stream.audio is not None:
            self._sound = SoundQueue(sound, 1 / stream.audio.clock_rate)
        self._opener = SegmentOpener(connection, storage, sound, clock, options.fragment_seconds)
        self._segments = SegmentPair(storage.finisher, storage.catalog, clock)
        self._cut_soon = False
        self._wall_zero: float | None = None
        self._synced = self.began = self.last_video = self.last_sound = clock.monotonic()
        self.hole: PictureHole | None = None
        self.over = False

    @property
    def has_sound(self) -> bool:
        return self._sound is not None

    @property
    def recording(self) -> bool:
        """True once a segment is open."""
        return self._segments.current is not None

    def end_of_video(self) -> datetime | None:
        """Return the instant at which the pictures written so far end; None where no segment is open."""
        current = self._segments.current
        return current.end if current else None

    def feed(self, unit: MediaUnit, arrival: float) -> None:
        """Take in a unit; `hole`, `over` and `recording` say what came of it."""
        self.hole = None
        if unit.is_video:
            self.last_video = arrival
            self._feed_picture(unit, arrival)
        elif self._sound is not None:
            self.last_sound = arrival
            self._feed_sound(self._sound, unit, arrival)

    def tick(self, now: float) -> None:
        """Between packets: finish the previous segment and have the files synced when it is time."""
        self._segments.tick(now)
        if now - self._synced >= self._options.max_loss:
            drive = self._storage.drive
            if self._storage.syncer.ask(drive, self._segments.writers()):
                self._synced = now
            check_space(drive, self._options.reserve_bytes)

    def close(self) -> None:
        """End the segments in good order: the connection is over."""
        if self._segments.current and self._sound:
            self._sound.flush()
        self._end()
        if self._template is not None:
            self._template.close()

    def _feed_picture(self, unit: MediaUnit, arrival: float) -> None:
        if not unit.duration:
            unit.duration = round(self._interval.usual * self._clock_rate)
        picture = self._stamps.repair(unit, arrival, settle=self._cut_soon and unit.is_key)
        at = picture.at
        self._cut_soon |= picture.moved
        # a stamp that jumped lies where it arrived, so a silence before it is seen too
        if picture.step is not None and self._interval.observe(picture.step):
            self._end_before_hole(picture.step)
        if unit.is_key:
            self._at_key_frame(unit, at)
        current = self._segments.current
        if current is None or not (at < current.until or self._is_planned(current, at)):
            return
        if self._segments.write_picture(unit):
            current.last_end = max(current.last_end, at + picture.length)
            self._write_sound(at)
        else:
            # what follows cannot be decoded without it: end here, begin again at the next key frame
            self.hole = current.hole(max(at, current.last_end))
            self._end()

    def _end_before_hole(self, step: float) -> None:
        """End where pictures are missing and begin again at the next key frame; what lies between cannot be decoded."""
        current = self._segments.current
        if current is not None:
            self.hole = current.hole(current.last_end + step - self._interval.usual)
            self._end()

    def _is_planned(self, current: OpenSegment, at: float) -> bool:
        """Return True where the plan gives this camera a class at `at`; where it does not, end the segment there."""
        if self._plan(current.instant(at)) is not None:
            return True
        current.last_end = min(current.last_end, at)
        self._end()
        self.over = True
        return False

    def _at_key_frame(self, unit: MediaUnit, at: float) -> None:
        """Begin a segment with this key frame, if one is due."""
        if unit.format is None:
            return
        self._cut_soon |= unit.new_order
        current = self._segments.current
        wall = self._wall.read(self._stamps.floor, self._wall_zero)
        assignment = self._plan(to_instant(wall.zero + at))
        if assignment is None:
            self._cut_soon = False
            self.over = True
            self._end()
            return
        if current is not None and not self._is_cut_due(current, unit.format, assignment, wall, at):
            return
        template = self._find_template(unit.format, unit.data)
        if template is not None:
            self._begin(SegmentStart(unit, at, wall.zero, assignment, template), wall)

    def _find_template(self, picture: PictureFormat, access_unit: bytes) -> PictureTemplate | None:
        """Return how the muxer is told of this picture; None where nothing can be made of it."""
        before = self._template
        if before is None or before.picture != picture:
            self._template = open_template(picture, access_unit)
            if before is not None:
                before.close()
        return self._template

    def _is_cut_due(
        self, current: OpenSegment, picture: PictureFormat, assignment: Assignment, wall: WallReading, at: float
    ) -> bool:
        return (
            wall.stepped
            or wall.drifted
            or self._cut_soon
            or picture != current.picture
            or assignment_key(assignment) != assignment_key(current.assignment)
            or is_next_slot(current.started, to_instant(wall.zero + at), self._options.segment_seconds)
        )

    def _begin(self, start: SegmentStart, wall: WallReading) -> None:
        # where stamps had to be moved, how far they lie apart says nothing of missing pictures
        seam = float("inf") if self._cut_soon else self._interval.seam
        # pictures that are shown before this one may still come
        seam += max(0, start.unit.pts - start.unit.dts) / self._clock_rate
        self._cut_soon = False
        if self._sound is not None:
            self._sound.settle()
        opened = self._opener.open(start)
        # also across a hole: two segments of one connection must not overlap
        self._wall_zero = opened.wall_zero
        ends = None if wall.stepped else seam
        hole = self._segments.advance(opened, ends, start.unit, wait_for_sound=self.has_sound)
        self.hole = hole or self.hole

    def _feed_sound(self, sound: SoundQueue, unit: MediaUnit, arrival: float) -> None:
        step = sound.feed(unit, arrival, self._stamps.shift)
        if step is SoundStep.LEFT_OUT:
            return
        self._cut_soon |= step is SoundStep.OUT_OF_STEP
        if current := self._segments.current:
            self._write_sound(current.last_end)

    def _write_sound(self, until: float) -> None:
        if self._sound is not None:
            self._segments.write_sound(self._sound.take(until))

    def _end(self) -> None:
        current = self._segments.current
        self._segments.end(self._sound.take(current.last_end) if self._sound and current else ())


def is_next_slot(started: datetime, moment: datetime, length: float) -> bool:
    """Return True where a multiple of `length` seconds of the wall clock lies between the two instants."""
    return moment.timestamp() // length > started.timestamp() // length
