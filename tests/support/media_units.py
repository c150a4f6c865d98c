"""The packets of a clip as the RTSP client hands them out."""

from __future__ import annotations

from typing import Any

import av
from av.bitstream import BitStreamFilterContext

from agent.mp4.nal import split_annex_b
from agent.rtsp.formats import AudioFormat, VideoFormat
from agent.rtsp.media_unit import MediaUnit
from agent.rtsp.payload.parameter_sets import ParameterSets


class ClipUnits:
    """Makes units of the packets of an open clip. `video`, `audio`: its formats, with the clip's own clocks."""

    def __init__(self, container: av.container.InputContainer) -> None:
        streams = container.streams
        self._video = streams.video[0]
        codec = self._video.codec_context.name
        self._filter = BitStreamFilterContext(f"{codec}_mp4toannexb", self._video)
        self._sets = ParameterSets(codec)
        assert self._video.time_base is not None
        self.video = VideoFormat(codec, self._video.time_base.denominator, rate=25.0)
        self.audio = _describe_sound(streams.audio[0]) if streams.audio else None
        self.streams = [self._video, *streams.audio[:1]]

    def make(self, packet: av.Packet[Any], base: int = 0) -> MediaUnit:
        """Return the unit of a packet; `base` is added to its stamps."""
        pts, dts, duration = (packet.pts or 0) + base, (packet.dts or 0) + base, packet.duration or 0
        if packet.stream_index != self._video.index:
            return MediaUnit(bytes(packet), pts, dts, duration, False)
        is_key = packet.is_keyframe
        data = b"".join(bytes(part) for part in self._filter.filter(packet))
        if is_key:
            self._sets.take(list(split_annex_b(data)))
        return MediaUnit(data, pts, dts, duration, True, is_key, self._sets.format() if is_key else None)


def _describe_sound(stream: av.AudioStream) -> AudioFormat:
    context = stream.codec_context
    payload = "hbr" if context.name == "aac" else "samples"
    rate, config = context.sample_rate, bytes(context.extradata or b"")
    return AudioFormat(context.name, payload, stream.time_base.denominator, rate, context.channels, config)
