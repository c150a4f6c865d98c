"""Sound of a recording: the seconds before an instant, as samples."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import av
import numpy as np

from agent import media
from agent.counting.quality import Samples

RATE = 16000


def before(path: Path, seconds: float, length: float = 4.0) -> Samples | None:
    """Up to `length` seconds of mono sound (-1 to 1, at RATE) that end at `seconds` after the file's first frame.

    None where the file has no sound track; no samples where the track is silent because nothing was received. Works on a
    file that is still written. Raises MediaError.
    """
    with media.opened(path, trusting=True) as container:
        if not container.streams.audio:
            return None
        sound = container.streams.audio[0]
        video = media.video_of(container, path)
        base = float((video.start_time or 0) * (video.time_base or 0))
        start = max(0.0, base + seconds - length)
        container.seek(round(start * av.time_base), backward=True)
        parts = list(_decoded(container, sound, start, base + seconds))
    return np.concatenate(parts) if parts else np.zeros(0, np.float32)


def _decoded(container: Any, sound: Any, start: float, end: float) -> Any:
    """Mono float samples of the frames between two instants; ends where the file is cut off."""
    resampler = av.AudioResampler(format="flt", layout="mono", rate=RATE)
    frames = container.decode(sound)
    while True:
        try:
            frame = next(frames, None)
        except av.FFmpegError:
            return
        if frame is None or (frame.time is not None and frame.time > end):
            return
        if frame.time is None or frame.time < start:
            continue
        for part in resampler.resample(frame):
            yield part.to_ndarray().reshape(-1)
