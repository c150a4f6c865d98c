"""The newest picture of a camera, read from the file being recorded: no second connection to the camera."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from fractions import Fraction

import av

from agent.catalog import Catalog
from agent.core.errors import MediaError
from agent.drive import Drive
from agent.inspection.evidence import resolve_on_drive
from agent.media import containers
from agent.media.containers import BgrImage


@dataclass(frozen=True, slots=True)
class LivePicture:
    """A picture as JPEG; `at` is when it was taken."""

    at: datetime
    jpeg: bytes


def read_latest_picture(
    catalog: Catalog, drives: Mapping[str, Drive], camera_id: str, width: int = 800
) -> LivePicture | None:
    """Return the last key frame of the segment being written, at most some seconds old; None where none is written."""
    for segment in reversed(catalog.segments.opened(camera_id)):
        drive = drives.get(segment.drive_id)
        if drive is None:
            continue
        try:
            found = containers.read_last_key_frame(resolve_on_drive(drive.root, segment.temporary))
        except (MediaError, OSError):
            continue
        if found is not None:
            seconds, picture = found
            return LivePicture(segment.start + timedelta(seconds=seconds), encode_jpeg(picture, width))
    return None


def encode_jpeg(picture: BgrImage, width: int) -> bytes:
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
