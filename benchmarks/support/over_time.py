"""Pictures that are not alive, made for the benchmark of counting: photographs, loops; and videos that are."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import av
import numpy as np

from agent.counting.detector import OpenVinoDetector
from agent.counting.look import take_look
from agent.counting.timeline import FileTimeline
from benchmarks.support.half_day import spoil_picture

_START = datetime(2026, 1, 1, tzinfo=UTC)


def watch_pictures(
    pictures: Iterable[np.ndarray], interval_s: float, detector: OpenVinoDetector
) -> tuple[str, float, float]:
    """Return the first finding of liveness, after how many seconds, and since when; ("", 0, 0) without one."""
    timeline = FileTimeline()
    for k, picture in enumerate(pictures):
        at = _START + timedelta(seconds=interval_s * k)
        finding = timeline.feed(picture, take_look(picture, detector).candidates, at).finding
        if finding:
            return finding.reason, interval_s * k, finding.since - _START.timestamp()
    return "", 0.0, 0.0


def iter_photograph(picture: np.ndarray, looks: int) -> Iterator[np.ndarray]:
    """Yield looks at a photograph before the lens: noise and light of the camera, nothing else."""
    rng = np.random.default_rng(0)
    return (spoil_picture(picture.astype(np.float32), k, 2000, rng) for k in range(looks))


def iter_loop(video: Path, looks: int, interval_s: float) -> Iterator[np.ndarray]:
    """Yield looks at a film that is played again and again."""
    rng, frames = np.random.default_rng(0), []
    with av.open(str(video)) as container:
        frames = [(f.time or 0.0, f.to_ndarray(format="bgr24")) for f in container.decode(video=0)]
    times = np.array([t for t, _ in frames])
    for k in range(looks):
        place = int(np.abs(times - (k * interval_s) % float(times[-1])).argmin())
        yield spoil_picture(frames[place][1].astype(np.float32), k, 2000, rng)


def iter_class_then_photograph(video: Path, step_s: float, looks: int) -> Iterator[np.ndarray]:
    """Yield a picture of a video every `step_s` seconds, then looks at a photograph of its last picture."""
    rng, k = np.random.default_rng(0), 0
    last = np.zeros((0, 0, 3), np.uint8)
    for last in iter_video(video, step_s):
        yield spoil_picture(last.astype(np.float32), k, 2000, rng)
        k += 1
    for number in range(k, k + looks):
        yield spoil_picture(last.astype(np.float32), number, 2000, rng)


def iter_video(video: Path, step_s: float) -> Iterator[np.ndarray]:
    """Yield a picture of a video every `step_s` seconds."""
    due = 0.0
    with av.open(str(video)) as container:
        for frame in container.decode(video=0):
            if (frame.time or 0.0) >= due:
                due += step_s
                yield frame.to_ndarray(format="bgr24")
