"""Reads from an AudioSpecificConfig (ISO/IEC 14496-3, 1.6.2.1) what framing and copying AAC need."""

from __future__ import annotations

from typing import NamedTuple

AAC_RATES = (96000, 88200, 64000, 48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000, 7350)
ADTS_HEADER = 7
CHANNELS = (0, 1, 2, 3, 4, 5, 6, 8)
"""By channelConfiguration; 0: the configuration of the programme says, which is not read here."""
_ESCAPE, _EXPLICIT_RATE = 31, 15
SBR, PS = 5, 29
_LOW_DELAY, _ENHANCED_LOW_DELAY = 23, 39
_GENERAL_AUDIO = (1, 2, 3, 4, 6, 7, 17, 19, 20, 21, 22, 23)
_SHORT_GENERAL_AUDIO = (1, 2, 3, 4, 6, 7)
"""Object types that a GASpecificConfig without extension describes wholly: main, LC, SSR, LTP, scalable, TwinVQ."""
_SCALABLE = (6, 20)
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
        return (fields | CHANNELS.index(self.channels) << 30 | length << 13 | 0x7FF << 2).to_bytes(7, "big")


class AacConfig(NamedTuple):
    """What an AudioSpecificConfig says.

    object_type, rate   as signalled: what a decoder that knows SBR puts out
    framing             of the core coder
    is_whole            True where it was read to its end; False where it holds what is not read here
    """

    object_type: int
    rate: int
    framing: AacFraming
    is_whole: bool


def read_framing(config: bytes) -> AacFraming | None:
    """Return what an AudioSpecificConfig says of frames; None where it is cut off or names no usable rate."""
    try:
        return take_framing(AacBits(config))
    except EOFError:
        return None


def take_framing(bits: AacBits) -> AacFraming | None:
    """Read a configuration to the end of its GASpecificConfig. Raises EOFError where it is cut off."""
    framing = take_config(bits).framing
    return framing if 0 < framing.rate <= _MAX_RATE else None


def take_config(bits: AacBits) -> AacConfig:
    """Read a configuration to the end of its GASpecificConfig. Raises EOFError where it is cut off."""
    kind, rate, channels = _take_object_type(bits), take_rate(bits), bits.take(4)
    core, core_rate = kind, rate
    if kind in (SBR, PS):
        rate = take_rate(bits)
        core = _take_object_type(bits)
    samples, is_extended = 512 if core in (_LOW_DELAY, _ENHANCED_LOW_DELAY) else 1024, 0
    if core in _GENERAL_AUDIO or core == _ENHANCED_LOW_DELAY:
        samples -= bits.take(1) * samples // 16  # frameLengthFlag: 960 or 480
    if core in _GENERAL_AUDIO:
        if bits.take(1):  # dependsOnCoreCoder
            bits.take(14)
        is_extended = bits.take(1)
    if core in _SCALABLE:
        bits.take(3)  # layerNr
    # without a channelConfiguration one of the programme follows, and behind the later types more
    is_whole = core in _SHORT_GENERAL_AUDIO and channels > 0 and not is_extended
    count = CHANNELS[channels] if channels < len(CHANNELS) else 0
    return AacConfig(kind, rate, AacFraming(core, core_rate, samples, count), is_whole)


def _take_object_type(bits: AacBits) -> int:
    kind = bits.take(5)
    return 32 + bits.take(6) if kind == _ESCAPE else kind


def take_rate(bits: AacBits) -> int:
    """Return a sampling frequency; 0 for an index that stands for none."""
    index = bits.take(4)
    if index == _EXPLICIT_RATE:
        return bits.take(24)
    return AAC_RATES[index] if index < len(AAC_RATES) else 0
