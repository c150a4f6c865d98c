"""Sound of a recording: the seconds before an instant, as samples."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import numpy as np

from agent import media
from agent.counting.quality import Samples

RATE = 16000


def before(path: Path, seconds: float, length: float = 4.0) -> Samples | None:
    """Up to `length` seconds of the loudest channel (-1 to 1, at RATE) that end at `seconds` after the file's first frame.

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
        return _samples(_decoded(container, sound, start, base + seconds))


def _samples(frames: Iterator[av.AudioFrame]) -> Samples:
    """The loudest channel, resampled all at once: a quarter of the time that it takes frame by frame. Where the sound changes
    its form on the way, what comes after."""
    fifo, form = av.AudioFifo(), None
    for frame in frames:
        now = frame.format.name, frame.layout.name, frame.sample_rate
        if now != form:
            fifo, form = av.AudioFifo(), now
        frame.pts = None  # a gap is no reason to refuse what follows
        fifo.write(frame)
    whole = fifo.read() if fifo.samples else None
    if whole is None:
        return np.zeros(0, np.float32)
    # each channel by itself: mixed down, two that are alike would be 3 dB louder, and clipped where neither is
    resampler = av.AudioResampler(format="fltp", layout=whole.layout, rate=RATE)
    channels = np.concatenate([part.to_ndarray() for part in resampler.resample(whole)], axis=1)
    loudest: Samples = channels[np.square(channels).sum(axis=1).argmax()]
    return loudest


def _decoded(container: Any, sound: Any, start: float, end: float) -> Iterator[av.AudioFrame]:
    """The frames between two instants; ends where the file is cut off."""
    frames = container.decode(sound)
    while True:
        try:
            frame = next(frames, None)
        except av.FFmpegError:
            return
        if frame is None or (frame.time is not None and frame.time > end):
            return
        if frame.time is not None and frame.time >= start:
            yield frame
