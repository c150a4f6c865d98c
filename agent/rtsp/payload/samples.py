"""Sound that comes as bare samples: G.711, G.722, G.726 and L16 (RFC 3551, 4.5)."""

from __future__ import annotations

from agent.rtsp.formats import AudioFormat
from agent.rtsp.media_unit import SoundFrame

_BITS = {"pcm_alaw": 8, "pcm_mulaw": 8, "g722": 4, "pcm_s16be": 16}
_USUAL_G726_BITS = 4


class SamplesDepacketizer:
    """Depacketises blocks of samples; how long a block lasts follows from its size."""

    def __init__(self, audio: AudioFormat) -> None:
        bits = _BITS.get(audio.codec) or audio.bits or _USUAL_G726_BITS
        self._bits = bits * audio.channels
        self._align = self._bits // 8 if audio.codec == "pcm_s16be" else 1
        self._clock, self._rate = audio.clock_rate, max(audio.sample_rate, 1)
        self.damaged = 0

    def feed(self, payload: bytes, stamp: int, marker: bool, lost: bool) -> list[SoundFrame]:
        whole = len(payload) - len(payload) % self._align
        if whole < len(payload) or not payload:
            self.damaged += 1
        samples = whole * 8 // self._bits
        if not samples:
            return []
        return [SoundFrame(payload[:whole], stamp, samples * self._clock // self._rate)]


class OpusDepacketizer:
    """Depacketises Opus: a packet is a frame (RFC 7587), whose first byte says how long it lasts (RFC 6716, 3.1)."""

    def __init__(self, audio: AudioFormat) -> None:
        self._clock = audio.clock_rate
        self.damaged = 0

    def feed(self, payload: bytes, stamp: int, marker: bool, lost: bool) -> list[SoundFrame]:
        samples = _count_opus_samples(payload)
        if not 0 < samples <= _MAX_OPUS_SAMPLES:
            self.damaged += 1
            return []
        return [SoundFrame(payload, stamp, samples * self._clock // _OPUS_RATE)]


_OPUS_RATE = 48000
_MAX_OPUS_SAMPLES = 5760
"""120 ms, the longest packet that there is."""


def _count_opus_samples(payload: bytes) -> int:
    if not payload:
        return 0
    config, code = payload[0] >> 3, payload[0] & 3
    if config < 12:  # SILK: 10, 20, 40, 60 ms
        samples = (480, 960, 1920, 2880)[config % 4]
    elif config < 16:  # hybrid: 10, 20 ms
        samples = (480, 960)[config % 2]
    else:  # CELT: 2.5, 5, 10, 20 ms
        samples = 120 << config % 4
    if code < 3:
        return samples * (1, 2, 2)[code]
    return samples * (payload[1] & 0x3F) if len(payload) > 1 else 0
