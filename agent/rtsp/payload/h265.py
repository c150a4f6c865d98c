"""RTP payloads of H.265 (RFC 7798): single NAL units, aggregations and fragments."""

from __future__ import annotations

from agent.mp4.nal import START_CODE
from agent.rtsp.payload.access_unit import PREFIX, AccessUnit

_AGGREGATION, _FRAGMENT, _PACI = 48, 49, 50
_START, _END = 0x80, 0x40
_START_CODES = (START_CODE, PREFIX)
"""No NAL unit begins so: the second byte of its header is never 0."""


class H265Rules:
    """NAL unit types of H.265."""

    header = 2

    def get_type(self, first: int) -> int:
        return first >> 1 & 0x3F

    def is_slice(self, kind: int) -> bool:
        return kind <= 31

    def is_parameter_set(self, kind: int) -> bool:
        return 32 <= kind <= 34

    def is_sei(self, kind: int) -> bool:
        return kind in (39, 40)

    def is_delimiter(self, kind: int) -> bool:
        return kind == 35

    def is_random_access(self, kind: int) -> bool:
        return 16 <= kind <= 23


def feed_h265(unit: AccessUnit, data: bytearray, at: int, end: int, has_don: bool = False) -> None:
    """Take the payload of a packet (`data` from `at` to `end`) into the access unit; what is incomplete marks it damaged.

    `has_don`: decoding order numbers stand in the payloads (sprop-max-don-diff above 0).
    """
    if end - at <= 2:
        return
    kind = data[at] >> 1 & 0x3F
    skipped = 2 if has_don else 0
    if kind == _FRAGMENT:
        _feed_fragment(unit, data, at, end, skipped)
    elif kind == _AGGREGATION:
        _feed_aggregate(unit, data, at + 2, end, has_don)
    elif data.startswith(_START_CODES, at, end):
        _feed_byte_stream(unit, data, at, end)
    elif kind < _AGGREGATION:
        unit.fragment = False
        unit.add(data[at : at + 2] + data[at + 2 + skipped : end])
    else:
        unit.damaged = True  # PACI, and what the RFC does not know


def _feed_fragment(unit: AccessUnit, data: bytearray, at: int, end: int, skipped: int) -> None:
    """Take in a fragment. The type is the first fragment's: some cameras change it later."""
    flags = data[at + 2]
    # only the first fragment has a decoding order number (RFC 7798, 4.4.3)
    begin = at + 3 + (skipped if flags & _START else 0)
    if begin >= end:  # empty; that it is the last one counts
        unit.fragment = unit.fragment and not flags & _END
        return
    if flags & _START:
        unit.begin(bytes((data[at] & 0x81 | (flags & 0x3F) << 1, data[at + 1])), data[begin])
        unit.fragment = True
    elif not unit.fragment:
        unit.damaged = True
        return
    unit.pieces.append(data[begin:end])
    if flags & _END:
        unit.fragment = False


def _feed_aggregate(unit: AccessUnit, data: bytearray, at: int, end: int, has_don: bool) -> None:
    unit.fragment = False
    at += 2 if has_don else 0
    while at + 2 < end:
        size = data[at] << 8 | data[at + 1]
        at += 2
        if at + size > end:
            unit.damaged = True
            return
        unit.add(data[at : at + size])
        at += size + (1 if has_don else 0)  # the next unit's difference of the decoding order number


def _feed_byte_stream(unit: AccessUnit, data: bytearray, at: int, end: int) -> None:
    """Take in a payload that begins with a start code."""
    unit.fragment = False
    unit.add(data[data.index(START_CODE, at) + len(START_CODE) : end])
