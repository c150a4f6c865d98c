"""Cuts the packets of one connection into segments.

A packet goes one way: Recorder, Segmenter, StampRepair (or SoundQueue), WallClock at a key frame, SegmentPair, SegmentWriter;
Syncer and Finisher bring what is written to the disk and the catalog. A part answers by what it returns and calls nothing
before it.

A segment begins at a key frame and ends where the next begins.
"""

from __future__ import annotations

from datetime import datetime

from agent.core.clock import Clock
from agent.media.containers import MediaPacket
from agent.recording.assignment import AssignmentLookup, assignment_key
from agent.recording.context import Connection, Storage
from agent.recording.frame_interval import FrameInterval
from agent.recording.open_segment import OpenSegment, PictureHole, SegmentPair
from agent.recording.options import RecordingOptions
from agent.recording.parameters import PictureFormat, detect_picture_format
from agent.recording.segment_opener import SegmentOpener, SegmentStart
from agent.recording.sound import build_sound
from agent.recording.sound_queue import SoundQueue, SoundStep
from agent.recording.stamp_repair import StampRepair
from agent.recording.wall_clock import WallClock, WallReading, to_instant
from agent.recording.writer import check_space


class Segmenter:
    """Feed it every packet of a stream, with its arrival on the monotonic clock. Raises DriveError, Shortage, CatalogError.

    began                     when the connection did, on the monotonic clock
    last_video, last_sound    arrival of the newest packet of each
    hole                      the stretch without pictures that `feed` has just found, None otherwise
    over                      the plan gives this camera no class any more
    """

    def __init__(
        self, connection: Connection, storage: Storage, plan: AssignmentLookup, clock: Clock, options: RecordingOptions
    ) -> None:
        stream = connection.stream
        frame = 1 / float(stream.video.average_rate or 25)
        sound = build_sound(stream.audio)
        self._storage, self._plan, self._options = storage, plan, options
        self._video_index = stream.video.index
        self._codec = stream.video.codec_context.name
        self._picture = _announced_picture(connection)
        self._stamps = StampRepair(float(stream.video.time_base or 1), frame)
        self._interval = FrameInterval(frame, options.hole_seconds)
        self._wall = WallClock(clock)
        self._sound: SoundQueue | None = None
        if sound is not None and stream.audio is not None:
            self._sound = SoundQueue(sound, float(stream.audio.time_base or 1))
        self._opener = SegmentOpener(connection, storage, sound, clock, options.fragment_seconds)
        self._segments = SegmentPair(storage.finisher, storage.catalog, clock)
        self._cut_soon = False
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

    def feed(self, packet: MediaPacket, arrival: float) -> None:
        """Take in a packet; `hole`, `over` and `recording` say what came of it."""
        self.hole = None
        if packet.stream_index == self._video_index:
            self.last_video = arrival
            for filled, came in self._stamps.fill(packet, arrival):
                self._feed_picture(filled, came)
        elif self._sound is not None:
            self.last_sound = arrival
            self._feed_sound(self._sound, packet, arrival)

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

    def _feed_picture(self, packet: MediaPacket, arrival: float) -> None:
        picture = self._stamps.repair(packet, arrival, settle=self._cut_soon and packet.is_keyframe)
        at = picture.at
        self._cut_soon |= picture.moved
        # a stamp that jumped lies where it arrived, so a silence before it is seen too
        if picture.step is not None and self._interval.observe(picture.step):
            self._end_before_hole(picture.step)
        if packet.is_keyframe:
            self._at_key_frame(packet, at)
        current = self._segments.current
        if current is None or not (at < current.until or self._is_planned(current, at)):
            return
        if current.writer.video(packet):
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

    def _at_key_frame(self, packet: MediaPacket, at: float) -> None:
        """Begin a segment with this key frame, if one is due."""
        picture = detect_picture_format(packet, self._codec, self._picture)
        if picture is None:
            return
        current = self._segments.current
        wall = self._wall.read(self._stamps.floor, current.wall_zero if current else None)
        assignment = self._plan(to_instant(wall.zero + at))
        if assignment is None:
            self._picture, self._cut_soon = picture, False
            self.over = True
            self._end()
            return
        start = SegmentStart(packet, at, wall.zero, assignment, picture)
        if current is None or self._is_cut_due(current, start, wall):
            self._picture = picture
            self._begin(start, wall)

    def _is_cut_due(self, current: OpenSegment, start: SegmentStart, wall: WallReading) -> bool:
        return (
            wall.stepped
            or wall.drifted
            or self._cut_soon
            or start.picture != current.picture
            or assignment_key(start.assignment) != assignment_key(current.assignment)
            or is_next_slot(current.started, start.instant, self._options.segment_seconds)
        )

    def _begin(self, start: SegmentStart, wall: WallReading) -> None:
        # where stamps had to be moved, how far they lie apart says nothing of missing pictures
        seam = float("inf") if self._cut_soon else self._interval.seam
        self._cut_soon = False
        opened = self._opener.open(start)
        hole = self._segments.advance(opened, None if wall.stepped else seam, wait_for_sound=self.has_sound)
        self.hole = hole or self.hole

    def _feed_sound(self, sound: SoundQueue, packet: MediaPacket, arrival: float) -> None:
        step = sound.feed(packet, arrival)
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


def _announced_picture(connection: Connection) -> PictureFormat | None:
    """Return what the camera said of its picture when the stream was set up; None where it said nothing."""
    context = connection.stream.video.codec_context
    if context.extradata and context.width:
        return PictureFormat(context.name, context.extradata, context.width, context.height)
    return None
