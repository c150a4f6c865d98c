"""Estimates how long the free space lasts, from the measured rates of the cameras and the course plan. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta

from agent.core.model import Segment
from agent.core.schedule import Placement

_DAY = timedelta(days=1)


def compute_rates(segments: Iterable[Segment]) -> dict[str, float]:
    """Return bytes per second by camera, over the finished segments given."""
    size: dict[str, int] = {}
    seconds: dict[str, float] = {}
    for s in segments:
        if s.end is not None and s.bytes is not None:
            size[s.camera_id] = size.get(s.camera_id, 0) + s.bytes
            seconds[s.camera_id] = seconds.get(s.camera_id, 0.0) + (s.end - s.start).total_seconds()
    return {camera: size[camera] / seconds[camera] for camera in size if seconds[camera] > 0}


def estimate_days_left(
    free: int, segments: Sequence[Segment], plan: Iterable[Placement], now: datetime, *, reserve: int = 0
) -> float | None:
    """Return the calendar days until `free` less `reserve` bytes are used up; None where nothing was ever recorded.

    Applies each camera's own rate to the plan (the mean rate for a camera without segments). Where the plan ends first, the
    rest is used at the average daily rate of the plan, or else of the past segments.
    """
    left = free - reserve
    if left <= 0:
        return 0.0
    by_camera = compute_rates(segments)
    if not by_camera:
        return None
    mean = sum(by_camera.values()) / len(by_camera)
    used = 0.0
    ahead = sorted((p for p in plan if p.end > now), key=lambda p: p.end)
    for place in ahead:
        rate = by_camera.get(place.camera_id, mean)
        start = max(place.start, now)
        need = rate * (place.end - start).total_seconds()
        if used + need >= left:
            return (start + timedelta(seconds=(left - used) / rate) - now) / _DAY
        used += need
    end = max((p.end for p in ahead), default=now)
    daily = used / ((end - now) / _DAY) if used and end - now >= _DAY else _past_daily(segments, by_camera, now)
    return (end - now) / _DAY + (left - used) / daily if daily > 0 else None


def _past_daily(segments: Sequence[Segment], by_camera: Mapping[str, float], now: datetime) -> float:
    """Return bytes per calendar day over the time that the segments span, at least one day."""
    first = min(s.start for s in segments)
    total = sum(s.bytes or 0 for s in segments)
    return total / max(1.0, (now - first) / _DAY) if by_camera else 0.0
