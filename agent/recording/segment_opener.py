"""Opening a segment: its folder and name on the drive, its row in the catalog, its file."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from agent.core.clock import Clock
from agent.core.errors import DriveError, Shortage
from agent.core.model import Segment
from agent.drive import layout
from agent.recording.assignment import Assignment
from agent.recording.context import Connection, Storage
from agent.recording.open_segment import OpenSegment
from agent.recording.picture_template import PictureTemplate
from agent.recording.sound import Sound
from agent.recording.wall_clock import to_instant
from agent.recording.writer import SegmentFile, SegmentWriter, Tracks
from agent.rtsp.media_unit import MediaUnit


@dataclass(frozen=True, slots=True)
class SegmentStart:
    """Where a segment begins: its key frame at `at` on the time line, whose zero is at `wall_zero` (Unix seconds)."""

    unit: MediaUnit
    at: float
    wall_zero: float
    assignment: Assignment
    template: PictureTemplate

    @property
    def instant(self) -> datetime:
        """Wall clock of the first picture."""
        return to_instant(self.wall_zero + self.at)


class SegmentOpener:
    """Opens the segments of one connection. `fragment_seconds`: length of the fragments of their files."""

    def __init__(
        self, connection: Connection, storage: Storage, sound: Sound | None, clock: Clock, fragment_seconds: float
    ) -> None:
        self._connection, self._storage, self._sound = connection, storage, sound
        self._clock, self._fragment_seconds = clock, fragment_seconds

    def open(self, start: SegmentStart) -> OpenSegment:
        """Open a segment. Raises DriveError, Shortage, CatalogError, and leaves no row then."""
        drive, segments = self._storage.drive, self._storage.catalog.segments
        cls, placement = start.assignment
        drive.check()
        relative = drive.segment_folder(cls, placement)
        folder = drive.make_folder(relative)
        name = self._free_name(folder, str(relative), start.instant)
        file = SegmentFile(folder, name, layout.build_temporary_name(name))
        row = self._row(start, str(relative), file)
        with self._storage.finisher.opening:
            segment_id = segments.open(row)
            try:
                writer = SegmentWriter(
                    drive,
                    file,
                    Tracks(start.template, self._connection.stream.video.clock_rate, self._sound),
                    start=start.at,
                    fragment_seconds=self._fragment_seconds,
                )
            except (DriveError, Shortage):
                segments.drop(segment_id)
                raise
        return OpenSegment(
            writer,
            segment_id,
            start.assignment,
            started=start.instant,
            wall_zero=start.wall_zero,
            picture=start.template.picture,
            last_end=start.at,
            until=placement.end.timestamp() - start.wall_zero,
        )

    def _row(self, start: SegmentStart, relative: str, file: SegmentFile) -> Segment:
        placement, picture, unit = start.assignment[1], start.template.picture, self._connection.unit
        sent = start.unit.sender_time
        return Segment(
            segment_id=0,
            drive_id=self._storage.drive.drive_id,
            path=f"{relative}/{file.name}",
            temporary=f"{relative}/{file.temporary}",
            state="open",
            class_id=placement.class_id,
            date=placement.date,
            session=placement.session,
            room_id=placement.room_id,
            camera_id=self._connection.camera_id,
            start=start.instant,
            video_codec=start.template.codec,
            width=picture.width,
            height=picture.height,
            audio_codec=self._sound.codec if self._sound else None,
            trust=self._clock.trust(),
            sender_time=None if sent is None else to_instant(sent),
            serial=unit.serial,
            unchecked_since=unit.unchecked_since(),
        )

    def _free_name(self, folder: Path, relative: str, moment: datetime) -> str:
        """Return a name that neither the drive nor the catalog knows: a second may come twice after a clock step."""
        catalog, drive_id = self._storage.catalog, self._storage.drive.drive_id
        local = moment.astimezone(catalog.zone)
        while True:
            name = layout.find_free_name(folder, local)
            if catalog.segments.by_path(drive_id, f"{relative}/{name}") is None:
                return name
            local += timedelta(seconds=1)
