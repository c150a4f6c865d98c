"""Reads and makes AudioSpecificConfig (ISO/IEC 14496-3, 1.6.2.1), also out of a StreamMuxConfig (1.7.3.1)."""

from __future__ import annotations

from typing import NamedTuple

from agent.rtsp.payload.aac_config import AAC_RATES, CHANNELS, PS, SBR, AacBits, take_config, take_rate

_AAC_LC = 2
_SYNC_SBR = 0x2B7
_SYNC_BITS = 21
"""Sync word, object type, flag and rate of an extension that stands behind a whole configuration."""
_MAX_RATE = 384_000


class AudioConfig(NamedTuple):
    """What an AudioSpecificConfig says. `sample_rate`: of the decoder's output; `channels`: 0 where it does not say.

    `bits`: its length; 0 where that is not known because it holds what is not read here.
    """

    object_type: int
    sample_rate: int
    channels: int
    bits: int


def parse_audio_config(data: bytes) -> AudioConfig | None:
    """Return what an AudioSpecificConfig says; None where it is cut off or names no usable rate."""
    try:
        return _read_config(AacBits(data), is_whole=True)
    except EOFError:
        return None


def make_audio_config(sample_rate: int, channels: int, object_type: int = _AAC_LC) -> bytes:
    """Return the AudioSpecificConfig of AAC, usually LC; b"" where no short one can say this."""
    if sample_rate not in AAC_RATES or channels not in CHANNELS[1:]:
        return b""
    fields = object_type << 11 | AAC_RATES.index(sample_rate) << 7 | CHANNELS.index(channels) << 3
    return fields.to_bytes(2, "big")


def extract_audio_config(mux: bytes) -> bytes:
    """Return the AudioSpecificConfig of the first layer of a StreamMuxConfig; b"" where it cannot be had."""
    bits = AacBits(mux)
    try:
        version = bits.take(1)
        if version and bits.take(1):
            return b""  # audioMuxVersionA 1 is reserved
        if version:
            _take_latm_value(bits)
        bits.take(1 + 6 + 4 + 3)  # allStreamsSameTimeFraming, numSubFrames, numProgram, numLayer
        length = _take_latm_value(bits) if version else 0
        begin = bits.at
        config = _read_config(bits, is_whole=False)
        if config is None:
            return b""
        bits.at = begin
        count = length or config.bits or bits.left
        return (bits.take(count) << -count % 8).to_bytes((count + 7) // 8, "big")
    except EOFError:
        return b""


def _take_latm_value(bits: AacBits) -> int:
    count = 8 * (bits.take(2) + 1)
    return bits.take(count)


def _read_config(bits: AacBits, *, is_whole: bool) -> AudioConfig | None:
    """Read an AudioSpecificConfig. `is_whole`: nothing else follows, so what follows extends it."""
    begin = bits.at
    found = take_config(bits)
    kind, rate, channels = found.object_type, found.rate, found.framing.channels
    size = bits.at - begin if found.is_whole else 0
    if is_whole and found.is_whole and bits.left >= _SYNC_BITS and bits.take(11) == _SYNC_SBR and bits.take(5) == SBR:
        rate = take_rate(bits) if bits.take(1) else rate
    if not 0 < rate <= _MAX_RATE:
        return None
    return AudioConfig(kind, rate, 2 if kind == PS and channels == 1 else channels, size)
