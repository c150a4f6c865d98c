"""Reads and makes AudioSpecificConfig (ISO/IEC 14496-3, 1.6.2.1), also out of a StreamMuxConfig (1.7.3.1)."""

from __future__ import annotations

from typing import NamedTuple

RATES = (96000, 88200, 64000, 48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000, 7350)
_CHANNELS = (0, 1, 2, 3, 4, 5, 6, 8)
"""By channelConfiguration; 0: the configuration of the programme says, which is not read here."""
_EXPLICIT_RATE = 15
_ESCAPE = 31
_AAC_LC = 2
_SBR, _PS = 5, 29
_GENERAL_AUDIO = (1, 2, 3, 4, 6, 7)
"""Object types that a GASpecificConfig without extension describes: main, LC, SSR, LTP, scalable, TwinVQ."""
_SCALABLE = 6
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


class _ConfigBits:
    """Bits of a configuration, first bit first; reading behind its end raises EOFError."""

    def __init__(self, data: bytes, at: int = 0) -> None:
        self._value = int.from_bytes(data, "big")
        self._size = len(data) * 8
        self.at = at

    @property
    def left(self) -> int:
        return self._size - self.at

    def take(self, count: int) -> int:
        if count > self.left:
            raise EOFError
        self.at += count
        return self._value >> self.left & ((1 << count) - 1)

    def take_object_type(self) -> int:
        kind = self.take(5)
        return 32 + self.take(6) if kind == _ESCAPE else kind

    def take_rate(self) -> int:
        """Return a sampling frequency; 0 for an index that stands for none."""
        index = self.take(4)
        if index == _EXPLICIT_RATE:
            return self.take(24)
        return RATES[index] if index < len(RATES) else 0


def parse_audio_config(data: bytes) -> AudioConfig | None:
    """Return what an AudioSpecificConfig says; None where it is cut off or names no usable rate."""
    try:
        return _read_config(_ConfigBits(data), is_whole=True)
    except EOFError:
        return None


def make_audio_config(sample_rate: int, channels: int, object_type: int = _AAC_LC) -> bytes:
    """Return the AudioSpecificConfig of AAC, usually LC; b"" where no short one can say this."""
    if sample_rate not in RATES or channels not in _CHANNELS[1:]:
        return b""
    fields = object_type << 11 | RATES.index(sample_rate) << 7 | _CHANNELS.index(channels) << 3
    return fields.to_bytes(2, "big")


def extract_audio_config(mux: bytes) -> bytes:
    """Return the AudioSpecificConfig of the first layer of a StreamMuxConfig; b"" where it cannot be had."""
    bits = _ConfigBits(mux)
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


def _take_latm_value(bits: _ConfigBits) -> int:
    count = 8 * (bits.take(2) + 1)
    return bits.take(count)


def _read_config(bits: _ConfigBits, *, is_whole: bool) -> AudioConfig | None:
    """Read an AudioSpecificConfig. `is_whole`: nothing else follows, so what follows extends it."""
    begin = bits.at
    kind, rate, channels = bits.take_object_type(), bits.take_rate(), bits.take(4)
    core = kind
    if kind in (_SBR, _PS):
        rate = bits.take_rate()
        core = bits.take_object_type()
    is_read = _skip_general_audio(bits, core, channels)
    size = bits.at - begin if is_read else 0
    if is_whole and is_read and bits.left >= _SYNC_BITS and bits.take(11) == _SYNC_SBR and bits.take(5) == _SBR:
        rate = bits.take_rate() if bits.take(1) else rate
    if not 0 < rate <= _MAX_RATE:
        return None
    count = _CHANNELS[channels] if channels < len(_CHANNELS) else 0
    return AudioConfig(kind, rate, 2 if kind == _PS and count == 1 else count, size)


def _skip_general_audio(bits: _ConfigBits, kind: int, channels: int) -> bool:
    """Skip a GASpecificConfig; return False where it cannot be skipped because it holds what is not read here."""
    if kind not in _GENERAL_AUDIO or not channels:
        return False
    bits.take(1)  # frameLengthFlag
    if bits.take(1):  # dependsOnCoreCoder
        bits.take(14)
    is_extended = bits.take(1)
    if kind == _SCALABLE:
        bits.take(3)
    return not is_extended
