"""The picture of an earlier look, read again from the recorded video: no picture of a look is kept."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta

from agent.catalog import Catalog
from agent.core.errors import MediaError
from agent.drive import Drive
from agent.inspection.evidence import resolve_on_drive
from agent.media import containers
from agent.media.containers import BgrImage

_TOLERANCE = timedelta(milliseconds=40)
"""A look's instant is kept to the millisecond, key frames lie further apart than this."""


def read_look_picture(catalog: Catalog, drives: Mapping[str, Drive], camera_id: str, at: datetime) -> BgrImage | None:
    """Return the key frame of a look at `at`; None where its video is not here any more, or cannot be read."""
    for segment in catalog.segments.between(camera_id, at, at + _TOLERANCE, finished=False):
        drive = drives.get(segment.drive_id)
        if drive is None:
            continue
        name = segment.temporary if segment.state == "open" else segment.path
        wanted = (at - segment.start + _TOLERANCE).total_seconds()
        try:
            found = containers.read_key_frame_at(resolve_on_drive(drive.root, name), wanted)
        except (MediaError, OSError):
            continue
        if found is not None and abs(found[0] - (at - segment.start).total_seconds()) <= _TOLERANCE.total_seconds():
            return found[1]
    return None
