"""Segments read from their files alone, where the catalog has no row for them."""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path, PurePosixPath
from typing import get_args
from zoneinfo import ZoneInfo

from agent.catalog.changes import RowChange
from agent.core.clock import Trust, parse_time
from agent.core.model import Segment, Session
from agent.drive import files, layout, sums, system_files
from agent.drive.identity import Drive
from agent.media import containers

_NIGHT_ENDS = 6
"""Hour until which an evening half-day may go on after midnight."""


def find_videos(half_day: Path) -> list[Path]:
    """List the entries of a half-day named like a segment or its temporary file, of any kind; finished ones first."""
    cameras = [
        x.path for x in files.list_entries(half_day) if x.kind == "folder" and not system_files.is_system_name(x)
    ]
    found = [
        half_day / c / x.name
        for c in cameras
        for x in files.list_entries(half_day / c)
        if x.kind not in ("folder", "name")
    ]
    finished = [x for x in found if x.suffix == ".mp4" and not x.name.startswith(".")]
    return sorted(finished + [x for x in found if x.name.startswith(".") and x.name.endswith(".mp4.part")])


def final_path(path: Path) -> Path:
    """Return the path that a segment's file has, or will get when it is finished."""
    return path.with_name(path.name[1:].removesuffix(".part")) if path.suffix == ".part" else path


def read_segment(
    zone: ZoneInfo, drive: Drive, folder: str, half_day: PurePosixPath, path: Path, begun: RowChange | None
) -> Segment | None:
    """Build the row of a segment from its file and name; None for names that the agent does not give.

    The start is exact where an open row `begun` has it, else to the second from the name. A temporary file becomes an open
    row, which recovery finishes. Raises MediaError.
    """
    final = final_path(path)
    finished = final == path
    key = layout.parse_half_day(half_day)
    place = path.parent.name.split("_", 1)
    start_of = layout.parse_start(final.name)
    if key is None or start_of is None or len(place) != 2:
        return None
    files.check_regular(path, below=drive.root)
    probe = containers.probe_media(path)
    # an evening that goes on past midnight stays in its folder
    day = key[0] + timedelta(days=key[1] is Session.EV and start_of.hour < _NIGHT_ENDS)
    row = begun.row if begun else {}
    start = _parse_moment(row.get("start")) or datetime.combine(day, start_of, tzinfo=zone)
    return Segment(
        segment_id=0,
        drive_id=drive.drive_id,
        path=drive.relative(final),
        temporary="" if finished else drive.relative(path),
        state="finished" if finished else "open",
        class_id=layout.parse_class_id(folder),
        date=key[0],
        session=key[1],
        room_id=place[0],
        camera_id=place[1],
        start=start,
        end=start + timedelta(seconds=probe.duration) if finished else None,
        bytes=path.stat().st_size if finished else None,
        sha256=sums.hash_file(path) if finished else None,
        video_codec=probe.video,
        width=probe.width,
        height=probe.height,
        audio_codec=probe.audio,
        trust=_parse_trust(row.get("trust")),
        serial=str(row.get("serial") or ""),
        unchecked_since=_parse_moment(row.get("unchecked_since")),
    )


def _parse_trust(value: object) -> Trust:
    return next((trust for trust in get_args(Trust) if trust == value), "unknown")


def _parse_moment(value: object) -> datetime | None:
    """Parse a time of a row; None for anything else, since rows on a drive are untrusted."""
    with suppress(ValueError, OverflowError):
        return parse_time(str(value)) if value else None
    return None
