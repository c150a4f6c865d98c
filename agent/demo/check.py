"""Check whether a file really plays: every frame of picture and sound is decoded."""

from __future__ import annotations

from pathlib import Path

import av


def read_duration(path: Path) -> float:
    """Return the duration of a media file in seconds."""
    with av.open(str(path)) as container:
        return (container.duration or 0) / av.time_base


def is_playable(path: Path) -> bool:
    """Return True where picture and sound decode from end to end."""
    try:
        with av.open(str(path)) as container:
            kinds = {frame.__class__ for frame in container.decode(video=0, audio=0)}
    except (av.FFmpegError, IndexError):
        return False
    return kinds == {av.VideoFrame, av.AudioFrame}
