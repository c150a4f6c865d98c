"""The newest picture of a camera, read from the file being recorded: no second connection to the camera."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from fractions import Fraction

import av

from agent import media
from agent.catalog import Catalog
from agent.drive import Drive
from agent.errors import MediaError
from agent.inspection.evidence import inside
from agent.media import Picture


@dataclass(frozen=True, slots=True)
class Still:
    """A picture as JPEG; `at` is when it was taken."""

    at: datetime
    jpeg: bytes


def still(catalog: Catalog, drives: Mapping[str, Drive], camera_id: str, width: int = 800) -> Still | None:
    """Return the last key frame of the segment being written, at most some seconds old; None where none is written."""
    for segment in reversed(catalog.segments.opened(camera_id)):
        drive = drives.get(segment.drive_id)
        if drive is None:
            continue
        try:
            found = media.last_key_frame(inside(drive.root, segment.temporary))
        except (MediaError, OSError):
            continue
        if found is not None:
            seconds, picture = found
            return Still(segment.start + timedelta(seconds=seconds), jpeg(picture, width))
    return None


def jpeg(picture: Picture, width: int) -> bytes:
    """Return the picture as JPEG, at most `width` pixels wide."""
    frame = av.VideoFrame.from_ndarray(picture, format="bgr24")
    wide = min(width, frame.width) // 2 * 2
    small = frame.reformat(
        width=wide, height=max(2, round(frame.height * wide / frame.width) // 2 * 2), format="yuvj420p"
    )
    encoder = av.CodecContext.create("mjpeg", "w")
    encoder.width, encoder.height, encoder.pix_fmt = small.width, small.height, "yuvj420p"
    encoder.time_base = Fraction(1, 25)
    encoder.options = {"qmin": "4", "qmax": "4"}
    small.pts = 0
    return b"".join(bytes(packet) for packet in [*encoder.encode(small), *encoder.encode(None)])
