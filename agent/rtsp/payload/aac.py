"""AAC in RTP by RFC 3640 (mode AAC-hbr): several access units in a packet, or one in several packets."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from agent.rtsp.formats import AudioFormat
from agent.rtsp.media_unit import SoundFrame
from agent.rtsp.payload.aac_config import ADTS_HEADER, AacBits, read_framing
from agent.rtsp.payload.frame_steps import FrameSteps

MAX_UNIT = 1 << 16
"""Bytes of an access unit; the largest of AAC-LC has 6144 bits a channel."""
_SECTION_LENGTH = 2
_USUAL = {"sizelength": 13, "indexlength": 3, "indexdeltalength": 3}
_ONE_HEADER = b"\x00\x10"
"""Length of the headers in bits where there is one of two bytes."""


class AacDepacketizer:
    """Depacketises AAC with access unit headers. Interleaved units are stamped by their index and not put in order."""

    def __init__(self, audio: AudioFormat) -> None:
        framing = read_framing(audio.config)
        samples, rate = (framing.samples, framing.rate) if framing else (1024, audio.sample_rate)
        self._steps = FrameSteps(samples, audio.clock_rate, rate)
        self._headers = _UnitHeaders(audio.parameters)
        self._part = bytearray()
        self._wanted = self._stamp = 0
        self.damaged = 0

    def feed(self, payload: bytes, stamp: int, marker: bool, lost: bool) -> list[SoundFrame]:
        if self._part and (lost or stamp != self._stamp):
            self._drop_part()
        if _is_adts(payload):  # a camera that leaves the headers out
            return self._steps.stamp(self._split_adts(payload), stamp)
        try:
            sizes, data = self._headers.read(payload)
        except EOFError:
            self._drop_part()
            self.damaged += 1
            return []
        single = sizes[0][0] if len(sizes) == 1 else 0
        if self._part and single != self._wanted:
            self._drop_part()
        if self._part or single > len(data):
            return self._join(single, data, stamp, marker)
        frames, at = list[SoundFrame](), 0
        for size, index in sizes:
            unit = data[at : at + size]
            at += size
            if not size or len(unit) < size:
                self.damaged += 1
                continue
            units = self._split_adts(unit) if _is_adts(unit) else [unit]
            frames += self._steps.stamp(units, stamp, index)
        return frames

    def _join(self, size: int, data: bytes, stamp: int, marker: bool) -> list[SoundFrame]:
        """Join the parts of one unit: each names the size of the whole, so a missing part shows in the sum."""
        self._wanted, self._stamp = size, stamp
        self._part += data
        if len(self._part) < size:
            if marker or size > MAX_UNIT:
                self._drop_part()
            return []
        unit = bytes(self._part)
        self._part.clear()
        if len(unit) != size:
            self.damaged += 1
            return []
        return self._steps.stamp(self._split_adts(unit) if _is_adts(unit) else [unit], stamp)

    def _drop_part(self) -> None:
        if self._part:
            self._part.clear()
            self.damaged += 1

    def _split_adts(self, data: bytes) -> list[bytes]:
        units, at = list[bytes](), 0
        while at < len(data):
            size = _adts_size(data, at)
            unit = data[at + (ADTS_HEADER if data[at + 1 : at + 2] and data[at + 1] & 1 else 9) : at + size]
            if not size or at + size > len(data) or not unit:
                self.damaged += 1
                break
            units.append(unit)
            at += size
        return units


class _UnitHeaders:
    """The access unit headers of a packet (RFC 3640, 3.2.1); `read` raises EOFError where they do not fit."""

    def __init__(self, parameters: Mapping[str, str]) -> None:
        names = ("indexlength", "indexdeltalength", "ctsdeltalength", "dtsdeltalength", "streamstateindication")
        self._size = _get_length(parameters, "sizelength")
        self._index, self._delta, self._cts, self._dts, self._state = (_get_length(parameters, name) for name in names)
        self._random = 1 if _get_length(parameters, "randomaccessindication") else 0
        self._auxiliary = _get_length(parameters, "auxiliarydatasizelength")
        self._unit = _get_length(parameters, "constantsize")
        extras = (self._cts, self._dts, self._state, self._random, self._auxiliary)
        self._is_short = self._size > 0 and self._size + self._index == 16 and not any(extras)

    def read(self, payload: bytes) -> tuple[list[tuple[int, int]], bytes]:
        """Return (size, index) of each unit, and the bytes behind the headers."""
        if self._is_short and payload[:2] == _ONE_HEADER and len(payload) >= 4:  # hot path: nearly all packets
            return [((payload[2] << 8 | payload[3]) >> self._index, 0)], payload[4:]
        body, sizes = payload, list[tuple[int, int]]()
        if self._size or self._index or self._delta:
            if len(payload) <= _SECTION_LENGTH:
                raise EOFError
            length = int.from_bytes(payload[:_SECTION_LENGTH], "big")
            end = _SECTION_LENGTH + (length + 7) // 8
            if end > len(payload):
                raise EOFError
            sizes = list(self._take_headers(AacBits(payload[_SECTION_LENGTH:end]), length))
            body = payload[end:]
        body = self._skip_auxiliary(body)
        if not sizes or not self._size:
            unit = self._unit or len(body)
            sizes = [(unit, number) for number in range(len(body) // unit)] if unit else []
        return sizes, body

    def _take_headers(self, bits: AacBits, length: int) -> Iterator[tuple[int, int]]:
        index = 0
        while bits.at + self._size + (self._delta if bits.at else self._index) <= length and bits.left:
            before = bits.at
            size = bits.take(self._size)
            # the first index says nothing of time
            number = bits.take(self._delta if before else self._index)
            index = index + 1 + number if before else 0
            for width in (self._cts, self._dts):
                if width and bits.take(1):
                    bits.take(width)
            bits.take(self._random + self._state)
            yield size, index
            if bits.at == before:
                return

    def _skip_auxiliary(self, body: bytes) -> bytes:
        if not self._auxiliary:
            return body
        bits = AacBits(body)
        bits.take(bits.take(self._auxiliary))
        return body[(bits.at + 7) // 8 :]


def _get_length(parameters: Mapping[str, str], name: str) -> int:
    text = parameters.get(name, "")
    most = 5 if name == "constantsize" else 2
    return int(text) if text.isascii() and text.isdigit() and len(text) <= most else _USUAL.get(name, 0)


def _is_adts(data: bytes) -> bool:
    """Return True for the sync word of ADTS; no raw AAC frame begins so, since 111 there means its end."""
    return len(data) > ADTS_HEADER and data[0] == 0xFF and data[1] & 0xF6 == 0xF0 and _adts_size(data, 0) <= len(data)


def _adts_size(data: bytes, at: int) -> int:
    """Return the size of the ADTS frame at `at`, header included; 0 where none begins there."""
    head = data[at : at + ADTS_HEADER]
    if len(head) < ADTS_HEADER or head[0] != 0xFF or head[1] & 0xF6 != 0xF0:
        return 0
    return (head[3] & 3) << 11 | head[4] << 3 | head[5] >> 5
