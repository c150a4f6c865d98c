"""Reads the headers of frames of sound as they follow one another in an MPEG transport stream."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple

from agent.rtsp.audio_config import extract_audio_config, make_audio_config, parse_audio_config
from agent.rtsp.formats import AudioFormat
from agent.rtsp.payload.aac_config import AAC_RATES, ADTS_HEADER
from agent.rtsp.payload.ac3 import AC3_SAMPLES, read_ac3_frame
from agent.rtsp.payload.mpeg_audio import read_mpeg_frame

TS_CLOCK = 90_000
HEAD = 9
"""Bytes that must be there to read a header."""
SYNC_BYTES = {"adts": b"\xff", "loas": b"\x56", "mpeg": b"\xff", "ac3": b"\x0b"}
_LOAS_HEADER = 3
_MAX_CONFIG = 64
"""Bytes of a LATM element that are looked at for its configuration."""
_AAC_FRAME = 1024
_AAC_CHANNELS = (0, 1, 2, 3, 4, 5, 6, 8)
_AC3_CHANNELS = (2, 1, 2, 3, 3, 4, 4, 5)
_MONO = 3


class TsFrame(NamedTuple):
    """A frame. `framing`: bytes at its begin that are no sound; `samples`: 0 where they are not known from here.

    `format`: what it says of the sound; None where it says nothing, or nothing that can be used.
    """

    size: int
    framing: int
    samples: int
    format: AudioFormat | None


def _read_adts(data: bytes, at: int) -> TsFrame | None:
    """Read an ADTS header (ISO/IEC 13818-7, 6.2). Frames of several blocks are not taken: nothing says where these end."""
    head = data[at : at + ADTS_HEADER]
    framing = ADTS_HEADER if head[1] & 1 else ADTS_HEADER + 2
    size = (head[3] & 3) << 11 | head[4] << 3 | head[5] >> 5
    if head[0] != 0xFF or head[1] & 0xF6 != 0xF0 or head[6] & 3 or size <= framing:
        return None
    made = _make_adts_format(head[2] >> 6, head[2] >> 2 & 0x0F, (head[2] & 1) << 2 | head[3] >> 6)
    return TsFrame(size, framing, _AAC_FRAME, made) if made else None


@lru_cache(maxsize=32)
def _make_adts_format(profile: int, index: int, channels: int) -> AudioFormat | None:
    """Return the format of AAC; None where the header leaves rate or channels to the programme."""
    if index >= len(AAC_RATES) or not channels:
        return None
    rate, count = AAC_RATES[index], _AAC_CHANNELS[channels]
    return AudioFormat("aac", "adts", TS_CLOCK, rate, count, make_audio_config(rate, count, profile + 1))


def _read_loas(data: bytes, at: int) -> TsFrame | None:
    """Read an AudioSyncStream (ISO/IEC 14496-3, 1.7.2), whose elements have their configuration in band."""
    if data[at] != 0x56 or data[at + 1] & 0xE0 != 0xE0:
        return None
    size = _LOAS_HEADER + ((data[at + 1] & 0x1F) << 8 | data[at + 2])
    begin = at + _LOAS_HEADER
    is_same = data[begin] & 0x80
    return TsFrame(size, _LOAS_HEADER, 0, None if is_same else _read_loas_format(data[begin : begin + _MAX_CONFIG]))


def _read_loas_format(element: bytes) -> AudioFormat | None:
    """Return the format that the StreamMuxConfig behind the first bit of an element names."""
    shifted = int.from_bytes(element, "big") << 1 & (1 << 8 * len(element)) - 1
    config = extract_audio_config(shifted.to_bytes(len(element), "big"))
    told = parse_audio_config(config)
    if told is None or not told.channels or not told.bits:
        return None
    parameters = {"cpresent": "1"}
    return AudioFormat("aac", "latm", TS_CLOCK, told.sample_rate, told.channels, config, parameters=parameters)


def _read_mpeg(data: bytes, at: int) -> TsFrame | None:
    found = read_mpeg_frame(data, at)
    if found is None:
        return None
    return TsFrame(found.size, 0, found.samples, _make_format("mp3", "mpeg", found.rate, _count_mpeg(data[at + 3])))


def _count_mpeg(mode: int) -> int:
    return 1 if mode >> 6 == _MONO else 2


def _read_ac3(data: bytes, at: int) -> TsFrame | None:
    size, rate = read_ac3_frame(data, at)
    if not size:
        return None
    return TsFrame(size, 0, AC3_SAMPLES, _make_format("ac3", "ac3", rate, _count_ac3(data[at + 6] << 8 | data[at + 7])))


def _count_ac3(bits: int) -> int:
    """Return the channels by `acmod` and `lfeon`, between which mix levels may stand (ATSC A/52, 5.3.2)."""
    mode = bits >> 13
    levels = (2 if mode & 1 and mode != 1 else 0) + (2 if mode & 4 else 0) + (2 if mode == 2 else 0)
    return _AC3_CHANNELS[mode] + (bits >> (12 - levels) & 1)


@lru_cache(maxsize=32)
def _make_format(codec: str, payload: str, rate: int, channels: int) -> AudioFormat:
    return AudioFormat(codec, payload, TS_CLOCK, rate, channels)


READERS: dict[str, Callable[[bytes, int], TsFrame | None]] = {
    "adts": _read_adts,
    "loas": _read_loas,
    "mpeg": _read_mpeg,
    "ac3": _read_ac3,
}
"""By the coding of a TsStream: reads the frame at a place with HEAD bytes; None where none is there."""
