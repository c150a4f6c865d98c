"""RTP payloads of H.264 (RFC 6184): single NAL units, aggregations and fragments."""

from __future__ import annotations

from agent.mp4.nal import START_CODE
from agent.rtsp.payload.access_unit import AccessUnit

_STAP_A, _STAP_B, _FU_A, _FU_B = 24, 25, 28, 29
_START, _END = 0x80, 0x40


class H264Rules:
    """NAL unit types of H.264."""

    header = 1

    def get_type(self, first: int) -> int:
        return first & 0x1F

    def is_slice(self, kind: int) -> bool:
        return 1 <= kind <= 5

    def is_parameter_set(self, kind: int) -> bool:
        return kind in (7, 8)

    def is_sei(self, kind: int) -> bool:
        return kind == 6

    def is_delimiter(self, kind: int) -> bool:
        return kind == 9

    def is_random_access(self, kind: int) -> bool:
        return kind == 5


def feed_h264(unit: AccessUnit, data: bytearray, at: int, end: int) -> None:
    """Take the payload of a packet (`data` from `at` to `end`) into the access unit; what is incomplete marks it damaged."""
    if at >= end:
        return
    first = data[at]
    kind = first & 0x1F
    if kind == _FU_A:
        if unit.fragment and at + 2 < end and data[at + 1] < _END:  # hot path: neither the first nor the last
            unit.pieces.append(data[at + 2 : end])
        else:
            _feed_fragment(unit, data, first, at + 1, end)
    elif kind == _FU_B and end - at > 4:
        # two bytes of decoding order number behind the FU header; not interleaved it only counts up
        data[at + 3] = data[at + 1]
        _feed_fragment(unit, data, first, at + 3, end)
    elif kind in (_STAP_A, _STAP_B):
        _feed_aggregate(unit, data, at + (1 if kind == _STAP_A else 3), end)
    elif 1 <= kind <= 23:
        unit.fragment = False
        unit.add(data[at:end])
    elif kind == 0:
        _feed_byte_stream(unit, data, at, end)
    else:
        unit.damaged = True  # MTAP: its time stamps are not RTP's


def _feed_fragment(unit: AccessUnit, data: bytearray, indicator: int, at: int, end: int) -> None:
    """Take in a fragment whose FU header stands at `at`. The type is the first fragment's: some cameras change it later."""
    if at >= end:
        return
    flags = data[at]
    if at + 1 == end:  # empty; that it is the last one counts
        unit.fragment = unit.fragment and not flags & _END
        return
    if flags & _START:
        unit.begin(bytes((indicator & 0xE0 | flags & 0x1F,)), data[at + 1])
        unit.fragment = True
    elif not unit.fragment:
        unit.damaged = True
        return
    unit.pieces.append(data[at + 1 : end])
    if flags & _END:
        unit.fragment = False


def _feed_aggregate(unit: AccessUnit, data: bytearray, at: int, end: int) -> None:
    unit.fragment = False
    while at + 2 < end:
        size = data[at] << 8 | data[at + 1]
        at += 2
        if at + size > end:
            unit.damaged = True
            return
        unit.add(data[at : at + size])
        at += size


def _feed_byte_stream(unit: AccessUnit, data: bytearray, at: int, end: int) -> None:
    """Take in a payload that begins with a start code."""
    code = data.find(START_CODE, at, min(end, at + 4))
    if code < 0:
        unit.damaged = True
    else:
        unit.fragment = False
        unit.add(data[code + len(START_CODE) : end])
