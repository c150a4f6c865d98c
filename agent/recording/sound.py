"""Converts sound for MP4: AAC is copied, everything else (mostly telephone codecs) is encoded to AAC."""

from __future__ import annotations

from typing import Protocol

import av

from agent.media.containers import MediaPacket

AAC_FRAME = 1024
_AAC_RATES = (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000)
_BITS_A_SAMPLE = 4


class Sound(Protocol):
    """The sound of one connection. `tick`: seconds that one step of the stamps of its packets lasts."""

    codec: str
    tick: float

    def add_to(self, container: av.container.OutputContainer) -> av.AudioStream:
        """Add a stream for it to a new file."""

    def feed(self, packet: MediaPacket, at: float) -> list[MediaPacket]:
        """Return the packets to write for one that begins at `at` seconds; their own stamps say where they lie."""

    def flush(self) -> list[MediaPacket]:
        """Return what is still inside, at the end of the connection."""


class CopiedSound:
    """AAC, copied."""

    codec = "aac"

    def __init__(self, stream: av.AudioStream) -> None:
        self._stream = stream
        self.tick = float(stream.time_base or 1)
        self._length = round(AAC_FRAME / stream.codec_context.sample_rate / self.tick)

    def add_to(self, container: av.container.OutputContainer) -> av.AudioStream:
        return container.add_stream_from_template(self._stream)

    def feed(self, packet: MediaPacket, at: float) -> list[MediaPacket]:
        packet.pts = packet.dts = round(at / self.tick)
        if not packet.duration:
            packet.duration = self._length
        return [packet]

    def flush(self) -> list[MediaPacket]:
        return []


class EncodedSound:
    """Any other codec that FFmpeg decodes: mono AAC at its own rate, one encoder for all segments of a connection."""

    codec = "aac"

    def __init__(self, stream: av.AudioStream) -> None:
        rate = stream.codec_context.sample_rate
        self._rate = rate if rate in _AAC_RATES else 16000
        self.tick = 1 / self._rate
        self._source_tick = float(stream.time_base or 1)
        self._last: int | None = None
        self._decoder = stream.codec_context
        self._resampler = av.AudioResampler(format="fltp", layout="mono", rate=self._rate, frame_size=AAC_FRAME)
        self._encoder = av.CodecContext.create("aac", "w")
        self._encoder.sample_rate = self._rate
        self._encoder.layout = "mono"
        self._encoder.format = "fltp"
        self._encoder.bit_rate = self._rate * _BITS_A_SAMPLE

    def add_to(self, container: av.container.OutputContainer) -> av.AudioStream:
        return container.add_stream(
            "aac", rate=self._rate, layout="mono", format="fltp", bit_rate=self._rate * _BITS_A_SAMPLE
        )

    def feed(self, packet: MediaPacket, at: float) -> list[MediaPacket]:
        packet.pts = packet.dts = round(at / self._source_tick)
        try:
            return self._forward([made for frame in self._decoder.decode(packet) for made in self._encode(frame)])
        except av.FFmpegError:
            # damaged in transit: the picture goes on without this sound
            return []

    def flush(self) -> list[MediaPacket]:
        return self._forward([*self._encode(None), *self._encoder.encode(None)])

    def _encode(self, frame: av.AudioFrame | None) -> list[MediaPacket]:
        return [made for piece in self._resampler.resample(frame) for made in self._encoder.encode(piece)]

    def _forward(self, packets: list[MediaPacket]) -> list[MediaPacket]:
        """Drop packets that do not lie after the one before.

        FFmpeg sets stamps back a little when the camera reports its time, and no file takes that.
        """
        kept = []
        for packet in packets:
            if packet.dts is not None and (self._last is None or packet.dts > self._last):
                self._last = packet.dts
                kept.append(packet)
        return kept


def build_sound(stream: av.AudioStream | None) -> Sound | None:
    """Return how the sound of a stream goes into MP4; None where it has none, or in a codec that FFmpeg does not know."""
    if not hasattr(stream, "codec_context"):
        return None
    if stream is None or stream.codec_context is None or not stream.codec_context.sample_rate:
        return None
    copied = stream.codec_context.name == "aac" and stream.codec_context.extradata
    return CopiedSound(stream) if copied else EncodedSound(stream)
