"""Reads from an AudioSpecificConfig (ISO/IEC 14496-3, 1.6.2.1) what framing and copying AAC need."""

from __future__ import annotations

from typing import NamedTuple

AAC_RATES = (96000, 88200, 64000, 48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000, 7350)
ADTS_HEADER = 7
_CHANNELS = (0, 1, 2, 3, 4, 5, 6, 8)
_ESCAPE, _EXPLICIT_RATE = 31, 15
_SBR, _PS = 5, 29
_LOW_DELAY, _ENHANCED_LOW_DELAY = 23, 39
_GENERAL_AUDIO = (1, 2, 3, 4, 6, 7, 17, 19, 20, 21, 22, 23)
_MAX_RATE = 192_000


class AacBits:
    """Bits, first bit first. Reading behind the end raises EOFError."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.at = 0

    @property
    def left(self) -> int:
        return len(self._data) * 8 - self.at

    def take(self, count: int) -> int:
        """Return the next `count` bits as a number."""
        if count > self.left:
            raise EOFError
        first, end = self.at // 8, self.at + count
        last = (end + 7) // 8
        self.at = end
        return int.from_bytes(self._data[first:last], "big") >> (last * 8 - end) & ((1 << count) - 1)

    def take_bytes(self, count: int) -> bytes:
        """Return the next `count` bytes, wherever in a byte they begin."""
        if self.at % 8 == 0 and count * 8 <= self.left:
            first = self.at // 8
            self.at += count * 8
            return self._data[first : first + count]
        return self.take(count * 8).to_bytes(count, "big")


class AacFraming(NamedTuple):
    """How AAC comes in frames.

    object_type    of the core coder: 2 is AAC-LC
    rate           samples a second of the core coder; SBR doubles them in the decoder
    samples        samples in a frame at that rate
    channels       0 where the configuration does not say
    """

    object_type: int
    rate: int
    samples: int
    channels: int

    def make_adts_header(self, size: int) -> bytes:
        """Return the header (ISO/IEC 13818-7, 6.2) that makes a frame of `size` bytes an ADTS frame; b"" if none can."""
        length = size + ADTS_HEADER
        if self.rate not in AAC_RATES or not 1 <= self.object_type <= 4 or length >= 1 << 13 or not self.channels:
            return b""
        fields = 0xFFF1 << 40 | (self.object_type - 1) << 38 | AAC_RATES.index(self.rate) << 34
        return (fields | _CHANNELS.index(self.channels) << 30 | length << 13 | 0x7FF << 2).to_bytes(7, "big")


def read_framing(config: bytes) -> AacFraming | None:
    """Return what an AudioSpecificConfig says of frames; None where it is cut off or names no usable rate."""
    try:
        return take_framing(AacBits(config))
    except EOFError:
        return None


def take_framing(bits: AacBits) -> AacFraming | None:
    """Read a configuration to the end of its GASpecificConfig. Raises EOFError where it is cut off."""
    kind, rate, channels = _take_object_type(bits), _take_rate(bits), bits.take(4)
    if kind in (_SBR, _PS):
        _take_rate(bits)
        kind = _take_object_type(bits)
    samples = 512 if kind in (_LOW_DELAY, _ENHANCED_LOW_DELAY) else 1024
    if kind in _GENERAL_AUDIO or kind == _ENHANCED_LOW_DELAY:
        samples -= bits.take(1) * samples // 16  # frameLengthFlag: 960 or 480
    if kind in _GENERAL_AUDIO:
        if bits.take(1):  # dependsOnCoreCoder
            bits.take(14)
        bits.take(1)  # extensionFlag
    if not 0 < rate <= _MAX_RATE:
        return None
    return AacFraming(kind, rate, samples, _CHANNELS[channels] if channels < len(_CHANNELS) else 0)


def _take_object_type(bits: AacBits) -> int:
    kind = bits.take(5)
    return 32 + bits.take(6) if kind == _ESCAPE else kind


def _take_rate(bits: AacBits) -> int:
    index = bits.take(4)
    if index == _EXPLICIT_RATE:
        return bits.take(24)
    return AAC_RATES[index] if index < len(AAC_RATES) else 0
