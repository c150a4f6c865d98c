"""Adds AAC tracks to files, from nothing but their AudioSpecificConfig."""

from __future__ import annotations

import io
from dataclasses import dataclass
from functools import cache

import av

_SILENT_ADTS = bytes.fromhex("fff16040017ffc01182007")
"""A frame of silence: the least that FFmpeg opens as AAC."""
LAYOUTS = {1: "mono", 2: "stereo", 3: "3.0", 4: "4.0", 5: "5.0", 6: "5.1", 8: "7.1"}


@dataclass(frozen=True, slots=True)
class AacTrack:
    """What an MP4 says of AAC: `config`, AudioSpecificConfig; `rate`, samples a second of the core coder; `channels`."""

    config: bytes
    rate: int
    channels: int

    def add_to(self, container: av.container.OutputContainer) -> av.AudioStream:
        """Add a stream to a new file; no encoder is opened for it."""
        stream = container.add_stream_from_template(_open_template().streams.audio[0])
        context = stream.codec_context
        context.extradata = self.config
        context.sample_rate = self.rate
        context.layout = LAYOUTS.get(self.channels, "stereo")
        return stream


@cache
def _open_template() -> av.container.InputContainer:
    """Return a file in memory that holds AAC: PyAV makes streams with a configuration from a stream only."""
    return av.open(io.BytesIO(_SILENT_ADTS), "r", format="aac")
