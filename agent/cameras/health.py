"""What a camera really delivers, measured on its recording, compared with what it declares."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from agent import i18n
from agent.catalog import Catalog
from agent.core.camera_model import Camera, Stream, Verdict
from agent.core.camera_models import Requirement
from agent.core.errors import MediaError
from agent.core.model import Segment
from agent.media import containers
from agent.media.containers import MediaPace

_RECENT = timedelta(minutes=15)
_LEAST_FPS_SHARE = 0.8  # of the declared frame rate: cameras slow down at night, but more than a fifth is a fault
_KEYFRAME_SLACK = 1.25  # times the required key-frame interval: a slightly late key frame is not a fault


@dataclass(frozen=True, slots=True)
class CameraHealth:
    """The state of one camera at an instant.

    `clock_offset_s`: camera's clock minus box's, seconds; `recorded_s`: seconds recorded in the last minute; `pace`: measured
    on the newest finished segment of the last 15 minutes, None if there is none.
    """

    camera_id: str
    reachable: bool
    up: bool
    clock_offset_s: float | None
    recorded_s: float
    declared: Stream | None
    pace: MediaPace | None


def measure_camera(
    catalog: Catalog, camera: Camera, now: datetime, file_of: Callable[[Segment], Path | None]
) -> CameraHealth:
    """Measure a camera by the catalog and its newest recording.

    `file_of` returns a segment's file, or None while its drive is not attached.
    """
    minute = now - timedelta(minutes=1)
    segments = catalog.segments.between(camera.camera_id, now - _RECENT, now, finished=False)
    # an open segment reaches up to now while the stream is up
    spans = [(max(s.start, minute), min(s.end or (now if camera.up else s.start), now)) for s in segments]
    return CameraHealth(
        camera.camera_id,
        camera.verdict is not Verdict.UNREACHABLE,
        camera.up,
        camera.clock_offset_s,
        round(min(60.0, sum(max(0.0, (end - start).total_seconds()) for start, end in spans)), 1),
        camera.main_stream,
        _measure_pace(segments, file_of),
    )


def find_delivery_faults(health: CameraHealth, require: Requirement | None) -> Iterator[str]:
    """Yield the faults that the recording shows, as sentences; what the camera declares does not show them."""
    pace, declared = health.pace, health.declared
    if pace is None or declared is None:
        return
    wanted = max(declared.fps or 0.0, (require.fps or 0.0) if require else 0.0)
    if pace.fps < wanted * _LEAST_FPS_SHARE:
        yield i18n.translate("cameras.delivers_fps", found=f"{pace.fps:.1f}", wanted=f"{wanted:g}")
    longest = require.keyframe_interval_s if require else None
    if longest and (pace.keyframe_s or 0.0) > longest * _KEYFRAME_SLACK:
        yield i18n.translate("cameras.delivers_keyframes", found=f"{pace.keyframe_s:.1f}", wanted=f"{longest:g}")
    if declared.audio and not pace.audio:
        yield i18n.translate("cameras.delivers_no_sound")


def _measure_pace(segments: list[Segment], file_of: Callable[[Segment], Path | None]) -> MediaPace | None:
    for segment in reversed([s for s in segments if s.state == "finished"]):
        file = file_of(segment)
        try:
            return containers.measure_pace(file) if file else None
        except MediaError:
            return None
    return None
