"""Find the segments of a class: finished rows of the catalog, on the drives that are attached."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from agent.catalog import Catalog
from agent.core.clock import get_local_day
from agent.core.errors import DriveError, MediaError
from agent.core.model import Segment
from agent.drive import Drive, files
from agent.inspection.cut import ClipSource, ClipSpan
from agent.mp4.reader import read_tracks
from agent.mp4.samples import Mp4Track

_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class LostSegment:
    """A segment that cannot be used, and the gap reason that follows."""

    segment: Segment
    reason: str


@dataclass(frozen=True, slots=True)
class Footage:
    """The video of one camera in a span, in order of time: `segments[i]` is `sources[i]` with its `tracks[i]`."""

    segments: list[Segment]
    sources: list[ClipSource]
    tracks: list[list[Mp4Track]]
    lost: list[LostSegment]


def find_attached_drives(roots: Iterable[Path]) -> dict[str, Drive]:
    """Return the drives at these mount points, by drive ID; mount points without one are skipped."""
    found: dict[str, Drive] = {}
    for root in roots:
        try:
            drive = Drive.open(root)
        except DriveError:
            continue
        found.setdefault(drive.drive_id, drive)
    return found


def find_segments(
    catalog: Catalog, class_id: str, span: ClipSpan, cameras: Iterable[str] = ()
) -> dict[str, list[Segment]]:
    """Return the finished segments of a class that touch the span, by camera and in order of time.

    Those of all its cameras unless `cameras` names some.
    """
    wanted = set(cameras)
    found: dict[str, list[Segment]] = {}
    # the recording margins of a half-day may reach into the day before or after
    first, last = get_local_day(span.start, catalog.zone) - _DAY, get_local_day(span.end, catalog.zone) + _DAY
    days = [first + number * _DAY for number in range((last - first).days + 1)]
    for segment in sorted(
        (s for day in days for s in catalog.segments.of_class(class_id, day)), key=lambda s: (s.camera_id, s.start)
    ):
        inside = segment.start < span.end and (segment.end is None or segment.end > span.start)
        if inside and (not wanted or segment.camera_id in wanted):
            found.setdefault(segment.camera_id, []).append(segment)
    return found


def open_footage(found: Iterable[Segment], drives: Mapping[str, Drive]) -> Footage:
    """Open the segments; those that cannot be opened are listed as lost with the reason and do not stop the rest."""
    result = Footage([], [], [], [])
    for segment in found:
        drive = drives.get(segment.drive_id)
        if drive is None:
            result.lost.append(LostSegment(segment, "drive_not_attached"))
            continue
        try:
            path = resolve_on_drive(drive.root, segment.path)
            whole = segment.bytes in (None, path.stat().st_size)
            tracks = read_tracks(path)
        except FileNotFoundError:
            result.lost.append(LostSegment(segment, "file_missing"))
        except (MediaError, OSError):
            result.lost.append(LostSegment(segment, "file_damaged"))
        else:
            if not whole:  # cut short or replaced: it would show other instants than the catalog states
                result.lost.append(LostSegment(segment, "file_damaged"))
                continue
            result.segments.append(segment)
            result.sources.append(ClipSource(path, segment.start))
            result.tracks.append(tracks)
    return result


def resolve_on_drive(root: Path, relative: str) -> Path:
    """Return the path of a file of the drive.

    Raises FileNotFoundError where there is none, MediaError where the name (or a link on the way) leads out of the drive or
    to something that is not a plain file.
    """
    base = root.resolve(strict=True)
    path = base / relative
    try:
        files.check_regular(path, below=base)
    except (files.UnfitFileError, ValueError) as error:
        raise MediaError("clip.outside", file=relative) from error
    return path


def find_recording_start(catalog: Catalog, camera_id: str, class_id: str, span: ClipSpan) -> datetime | None:
    """Return when the segment began that is being written of this camera and class, if it reaches into the span."""
    starts = [s.start for s in catalog.segments.opened(camera_id) if s.class_id == class_id and s.start < span.end]
    return min(starts, default=None)
