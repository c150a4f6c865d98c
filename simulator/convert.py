"""Convert any video file for the virtual camera: codecs that RTP can carry and a key frame every 2 s."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import numpy as np

from simulator.clips import ClipWriter, SoundSamples
from simulator.source import MediaSource, load_source

LONGEST_KEY_GAP = 4.0
USUAL_SOUND = ("aac", "pcm_alaw", "pcm_mulaw")
"""What most cameras send."""
SOUND_RATE = 16000


def convert_for_camera(path: Path, folder: Path, seconds: float = 120.0) -> Path:
    """Return `path` where a camera could send it, else a copy in `folder` (at most `seconds`) as H.264 and AAC.

    Raises av.FFmpegError where `path` is not a media file, ValueError where it has no video.
    """
    with av.open(str(path)) as container:
        if not container.streams.video:
            raise ValueError(f"{path.name} holds no picture")
        sound_fits = all(s.codec_context.name in USUAL_SOUND for s in container.streams.audio)
    try:
        source = load_source(path) if sound_fits else None
    except ValueError:
        source = None
    if source and source.video and _compute_key_gap(source) <= LONGEST_KEY_GAP:
        return path
    return _convert(path, folder / f"{path.stem}-camera.mp4", seconds)


def _compute_key_gap(source: MediaSource) -> float:
    keys = [s.due for s in source.samples if s.kind == "video" and s.key]
    return max((b - a for a, b in pairwise([*keys, source.duration])), default=0.0)


def _convert(path: Path, target: Path, seconds: float) -> Path:
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        fps = max(5, min(30, round(stream.average_rate or Fraction(25))))
        shrink = min(1.0, 1280 / stream.width)
        size = round(stream.width * shrink / 2) * 2, round(stream.height * shrink / 2) * 2
        sound = _read_sound(path, seconds)
        with ClipWriter(target, size, fps, "h264", "aac" if sound is not None else None, SOUND_RATE) as writer:
            for index, frame in enumerate(_resample_frames(container, fps)):
                if index >= seconds * fps:
                    break
                writer.picture(frame.reformat(size[0], size[1], "yuv420p"))
                if sound is not None:
                    part = sound[round(index * SOUND_RATE / fps) : round((index + 1) * SOUND_RATE / fps)]
                    writer.sound(part if part.size else np.zeros(SOUND_RATE // fps, np.float32))
    return target


def _resample_frames(container: av.container.InputContainer, fps: int) -> Iterator[av.VideoFrame]:
    """Yield frames at a constant rate: repeated where the file has fewer, skipped where it has more."""
    index, start = 0, None
    for frame in container.decode(video=0):
        moment = frame.time or 0.0
        start = moment if start is None else start
        while index <= (moment - start) * fps + 1e-6:
            yield frame
            index += 1


def _read_sound(path: Path, seconds: float) -> SoundSamples | None:
    """Return the first sound track as mono floats at SOUND_RATE, None without one."""
    with av.open(str(path)) as container:
        if not container.streams.audio:
            return None
        resampler = av.AudioResampler(format="flt", layout="mono", rate=SOUND_RATE)
        parts: list[SoundSamples] = []
        for frame in container.decode(audio=0):
            parts += [out.to_ndarray().reshape(-1).astype(np.float32) for out in resampler.resample(frame)]
            if sum(p.size for p in parts) > seconds * SOUND_RATE:
                break
    return np.concatenate(parts) if parts else None
