"""The run of segments of one connection: where each is cut, what goes into which file, what the catalog is told.

A segment begins at a key frame and ends where the next begins. Sound comes in its own packets, sometimes late, so at a
cut the old file stays open until the sound has passed the cut: nothing is lost, nothing is written twice.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import av

from agent.catalog import Catalog
from agent.clock import Clock
from agent.drive import Drive, layout
from agent.errors import DriveError, Shortage
from agent.model import Segment
from agent.model_classes import TrainingClass
from agent.recording.finisher import Finisher, Job
from agent.recording.identity import RecordedUnit
from agent.recording.options import Options
from agent.recording.parameters import Picture, picture_of
from agent.recording.sound import sound_of
from agent.recording.stream import LiveStream, sender_time
from agent.recording.syncer import Syncer
from agent.recording.timeline import Timeline
from agent.recording.writer import SegmentWriter, check_space
from agent.schedule import Placement

Plan = tuple[TrainingClass, Placement]

_LATE_SOUND = 1.0
_SEAM = 0.2
"""Seconds without a picture before a cut that may be a picture sent late; from there on it is a hole."""
_SLEW = 0.02
_STEP = 0.5
_DRIFT = 1.0
"""Seconds by which the camera's stamps may run slow or fast until a new segment puts them right."""
_SOUND_BACK = 1.0
_MAX_PENDING = 50


@dataclass
class _Open:
    """A segment being written. `wall0` is the wall-clock instant (Unix seconds) of the time line's zero; `until` is where
    on the time line its plan ends."""

    writer: SegmentWriter
    segment_id: int
    plan: Plan
    started: datetime
    wall0: float
    picture: Picture
    last_end: float
    until: float


class Reel:
    """Feed it every packet of `stream`, with its arrival on the monotonic clock. Raises DriveError, CatalogError.

    `began` is when the connection did, `last_video` and `last_sound` are arrivals of the newest packets; `hole` is the
    stretch without pictures that `feed` has just found, None otherwise.
    """

    def __init__(
        self, camera_id: str, stream: LiveStream, plan: Callable[[datetime], Plan | None], drive: Drive,
        catalog: Catalog, clock: Clock, options: Options, finisher: Finisher, syncer: Syncer, unit: RecordedUnit,
    ) -> None:  # fmt: skip
        self._camera_id, self._stream, self._plan, self._drive = camera_id, stream, plan, drive
        self._catalog, self._clock, self._options = catalog, clock, options
        self._finisher, self._syncer, self._unit = finisher, syncer, unit
        self._sound = sound_of(stream.audio)
        self._codec = stream.video.codec_context.name
        context = stream.video.codec_context
        self._picture: Picture | None = None
        if context.extradata and context.width:
            self._picture = Picture(self._codec, context.extradata, context.width, context.height)
        self._video_line, self._sound_line = Timeline(), Timeline(_SOUND_BACK)
        # plain numbers: making a Fraction of each packet's time base would cost more than the rest
        self._tick = float(stream.video.time_base or 1)
        self._sound_tick = float(stream.audio.time_base or 1) if stream.audio else 1.0
        self._shift = 0.0
        self._frame = 1 / float(stream.video.average_rate or 25)
        self._step = self._frame
        self._pending: list[tuple[av.Packet[Any], float]] = []
        self._held: deque[tuple[float, av.Packet[Any]]] = deque()
        self._now: _Open | None = None
        self._old: _Open | None = None
        self._old_until = 0.0
        self._cut_soon = False
        self._synced = clock.monotonic()
        self._wall_minus_mono = self._offset()
        self.began = self.last_video = self.last_sound = clock.monotonic()
        self.hole: tuple[datetime, datetime] | None = None
        self.over = False

    @property
    def has_sound(self) -> bool:
        return self._sound is not None

    @property
    def recording(self) -> bool:
        """True once a segment is open."""
        return self._now is not None

    def end_of_video(self) -> datetime | None:
        """The instant at which the pictures written so far end."""
        return self._wall(self._now, self._now.last_end) if self._now else None

    def feed(self, packet: av.Packet[Any], arrival: float) -> None:
        self.hole = None
        if packet.stream_index == self._stream.video.index:
            self.last_video = arrival
            self._feed_video(packet, arrival)
        elif self._sound is not None:
            self.last_sound = arrival
            self._feed_sound(packet, arrival)

    def tick(self, now: float) -> None:
        """Between packets: have synced what is written when it is time, let go of the segment before."""
        if self._old and now > self._old_until:
            self._retire()
        if now - self._synced >= self._options.max_loss:
            if self._syncer.ask(self._drive, [part.writer for part in (self._now, self._old) if part]):
                self._synced = now
            check_space(self._drive, self._options.reserve_bytes)

    def close(self) -> None:
        """The connection is over: end the segments in good order."""
        if self._now and self._sound:
            self._hold(self._sound.flush())
        self._end()

    def _end(self) -> None:
        last = self._now
        try:
            if last:
                self._drain_sound(last.last_end)
            self._retire()
        finally:
            self._now = None
            if last:
                self._finish(last, self._wall(last, last.last_end))

    # pictures

    def _feed_video(self, packet: av.Packet[Any], arrival: float) -> None:
        if packet.pts is None or packet.dts is None or self._pending:
            self._stamp(packet, arrival)
        else:
            self._place_video(packet, arrival)

    def _stamp(self, packet: av.Packet[Any], arrival: float) -> None:
        """Place pictures of which some came without a stamp."""
        if packet.pts is None and len(self._pending) < _MAX_PENDING:
            # FFmpeg leaves the first one, and the first after a silence, without a stamp; the next tells it
            self._pending.append((packet, arrival))
            return
        step = packet.duration or round(self._frame / self._tick)
        if packet.pts is None:
            packet.pts = round(((self._video_line.last or 0.0) - self._shift) / self._tick) + step * (_MAX_PENDING + 1)
        if packet.dts is None:
            packet.dts = packet.pts
        for number, (early, came) in enumerate(reversed(self._pending), 1):
            early.pts = early.dts = packet.dts - number * step
            self._pending[-number] = (early, came)
        waiting, self._pending = [*self._pending, (packet, arrival)], []
        for each, came in waiting:
            self._place_video(each, came)

    def _place_video(self, packet: av.Packet[Any], arrival: float) -> None:
        assert packet.pts is not None and packet.dts is not None
        if packet.is_keyframe and self._cut_soon:
            self._video_line.settle(packet.dts * self._tick, arrival)
        before = self._video_line.last
        placed = self._video_line.place(packet.dts * self._tick, arrival)
        if placed is None:
            return
        if placed.shift:
            packet.pts += round(placed.shift / self._tick)
            packet.dts += round(placed.shift / self._tick)
        self._shift = placed.shift
        at = packet.pts * self._tick
        self._cut_soon |= placed.broken
        if before is not None:
            self._see_step(placed.at - before)
        if packet.is_keyframe:
            self._at_key_frame(packet, at)
        if self._now and self._still_planned(at):
            length = (packet.duration or 0) * self._tick or self._frame
            if self._now.writer.video(packet):
                self._now.last_end = max(self._now.last_end, at + length)
                self._drain_sound(at)
            else:
                # what follows cannot be decoded without it: end here, begin again at the next key frame
                self._tell_hole(self._now, max(at, self._now.last_end))
                self._end()

    def _see_step(self, step: float) -> None:
        """From one picture to the next. Where pictures are missing: end here, begin again at the next key frame; what lies
        between cannot be decoded. (A stamp that jumped lies where it arrived, so a silence before it is seen too.)"""
        if step > self._options.hole_seconds:
            if self._now is not None:
                self._tell_hole(self._now, self._now.last_end + step - self._step)
                self._end()
        else:
            self._step += 0.1 * (step - self._step)

    def _tell_hole(self, part: _Open, until: float) -> None:
        self.hole = (self._wall(part, part.last_end), self._wall(part, until))

    def _still_planned(self, at: float) -> bool:
        """False, and the reel over, where the plan gives this camera no class any more."""
        assert self._now is not None
        if at < self._now.until or self._plan(self._wall(self._now, at)) is not None:
            return True
        self._now.last_end = min(self._now.last_end, at)
        self._end()
        self.over = True
        return False

    def _at_key_frame(self, packet: av.Packet[Any], at: float) -> None:
        picture = picture_of(packet, self._codec, self._picture)
        if picture is None:
            return
        offset = self._offset()
        stepped = abs(offset - self._wall_minus_mono) > _STEP
        self._wall_minus_mono = offset
        wall0, drifted = self._wall0(offset, stepped)
        moment = _instant(wall0 + at)
        plan = self._plan(moment)
        if self._now is not None and plan is not None:
            changed = (
                stepped
                or drifted
                or self._cut_soon
                or picture != self._now.picture
                or _key(plan) != _key(self._now.plan)
            )
            if not changed and not self._next_slot(self._now.started, moment):
                return
        self._picture = picture
        moved, self._cut_soon = self._cut_soon, False
        if plan is None:
            self.over = True
            self._end()
            return
        # where stamps had to be moved, how far they lie apart says nothing of missing pictures
        seam = float("inf") if moved else max(_SEAM, 2 * self._step)
        self._begin(packet, at, plan, wall0, picture, moment, None if stepped else seam)

    def _wall0(self, offset: float, stepped: bool) -> tuple[float, bool]:
        """Wall clock at the time line's zero, and whether the stamps have drifted too far from it. It follows the camera's
        clock by small steps, one a segment; firmware that counts pictures instead of time runs away from that."""
        wanted = offset + self._video_line.floor
        if self._now is None or stepped:
            return wanted, False
        behind = wanted - self._now.wall0
        if abs(behind) > _DRIFT:
            return wanted, True
        return self._now.wall0 + max(-_SLEW, min(_SLEW, behind)), False

    def _next_slot(self, started: datetime, moment: datetime) -> bool:
        length = self._options.segment_seconds
        return moment.timestamp() // length > started.timestamp() // length

    def _begin(
        self, packet: av.Packet[Any], at: float, plan: Plan, wall0: float, picture: Picture, moment: datetime,
        seam: float | None,
    ) -> None:  # fmt: skip
        """Open the next segment. The one before ends where it begins if that is at most `seam` seconds after its last picture;
        None: it ends with that picture in any case (the clock was stepped)."""
        previous = self._now
        opened = self._open(packet, at, plan, wall0, picture, moment)
        self._retire()
        self._now = opened
        if previous is None:
            return
        if seam is not None:
            self._meet(previous, at, wall0, seam)
        self._old, self._old_until = previous, self._clock.monotonic() + _LATE_SOUND
        if self._sound is None:
            self._retire()

    def _meet(self, previous: _Open, at: float, wall0: float, seam: float) -> None:
        """End `previous` where the next begins, unless pictures are missing between: no row claims what no file holds."""
        begin = at + wall0 - previous.wall0
        if min(at, begin) - previous.last_end <= seam:
            previous.last_end = begin
        else:
            self._tell_hole(previous, begin)

    def _open(
        self, packet: av.Packet[Any], at: float, plan: Plan, wall0: float, picture: Picture, moment: datetime
    ) -> _Open:  # fmt: skip
        cls, placement = plan
        self._drive.check()
        relative = self._drive.segment_folder(cls, placement)
        folder = self._drive.make_folder(relative)
        name = self._free_name(folder, str(relative), moment)
        temporary = layout.temporary_name(name)
        row = Segment(
            segment_id=0, drive_id=self._drive.drive_id, path=f"{relative}/{name}", temporary=f"{relative}/{temporary}",
            state="open", class_id=placement.class_id, date=placement.date, session=placement.session,
            room_id=placement.room_id, camera_id=self._camera_id, start=moment,
            video_codec="h265" if picture.codec == "hevc" else picture.codec, width=picture.width, height=picture.height,
            audio_codec=self._sound.codec if self._sound else None, trust=self._clock.trust(),
            sender_time=sender_time(packet), serial=self._unit.serial, unchecked_since=self._unit.unchecked_since(),
        )  # fmt: skip
        with self._finisher.opening:
            segment_id = self._catalog.segments.open(row)
            try:
                writer = SegmentWriter(
                    self._drive, folder, name, temporary, template=self._stream.video, picture=picture,
                    sound=self._sound, start=at, fragment_seconds=self._options.fragment_seconds,
                )  # fmt: skip
            except (DriveError, Shortage):
                self._catalog.segments.drop(segment_id)
                raise
        return _Open(writer, segment_id, plan, moment, wall0, picture, at, placement.end.timestamp() - wall0)

    def _free_name(self, folder: Path, relative: str, moment: datetime) -> str:
        """A name that neither the drive nor the catalog knows: after a step of the clock a second may come twice."""
        local = moment.astimezone(self._catalog.zone)
        while True:
            name = layout.free_name(folder, local)
            if self._catalog.segments.by_path(self._drive.drive_id, f"{relative}/{name}") is None:
                return name
            local += timedelta(seconds=1)

    # sound

    def _feed_sound(self, packet: av.Packet[Any], arrival: float) -> None:
        assert self._sound is not None
        if packet.pts is None:
            return
        placed = self._sound_line.place(packet.pts * self._sound_tick, arrival)
        if placed is None:
            return
        if placed.broken:
            self._cut_soon = True
        self._hold(self._sound.feed(packet, placed.at))
        if self._now and self._held and self._held[0][0] <= self._now.last_end:
            self._drain_sound(self._now.last_end)

    def _hold(self, packets: list[av.Packet[Any]]) -> None:
        assert self._sound is not None
        for packet in packets:
            self._held.append(((packet.pts or 0) * self._sound.tick, packet))

    def _drain_sound(self, until: float) -> None:
        """Write the sound up to `until`: before the cut into the old file, after it into the new one."""
        while self._held and self._held[0][0] <= until:
            at, packet = self._held.popleft()
            if self._now and at >= self._now.writer.start:
                self._retire()
                self._now.writer.audio(packet)
            elif self._old and at >= self._old.writer.start:
                self._old.writer.audio(packet)

    # ends

    def _retire(self) -> None:
        if self._old:
            old, self._old = self._old, None
            self._finish(old, self._wall(old, old.last_end))

    def _finish(self, part: _Open, end: datetime) -> None:
        try:
            part.writer.close()
        except (DriveError, Shortage):
            part.writer.abandon()
            raise
        if part.writer.empty:
            part.writer.discard()
            self._catalog.segments.drop(part.segment_id)
            return
        self._finisher.put(Job(part.segment_id, part.writer, end))

    def _offset(self) -> float:
        return self._clock.now().timestamp() - self._clock.monotonic()

    @staticmethod
    def _wall(part: _Open, at: float) -> datetime:
        return _instant(part.wall0 + at)


def _instant(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def _key(plan: Plan) -> tuple[object, ...]:
    place = plan[1]
    return place.class_id, place.date, place.session, place.room_id
