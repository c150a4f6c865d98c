"""Sender reports of a camera (RFC 3550, 6.4.1): which time stamp belongs to which instant of its clock."""

from __future__ import annotations

import struct
from typing import NamedTuple

NTP_EPOCH = 2_208_988_800
"""Seconds from the epoch of NTP (1900) to that of Unix."""
_HEADER = struct.Struct(">BBHI")
_INFO = struct.Struct(">III")
_SENDER_REPORT = 200


class SenderReport(NamedTuple):
    """At `unix_time` (seconds, by the camera's clock) the RTP time stamp was `stamp` (32 bits)."""

    ssrc: int
    unix_time: float
    stamp: int


def parse_sender_report(data: bytes) -> SenderReport | None:
    """Return the sender report in a compound RTCP packet; None where there is none, or where its clock was never set."""
    at = 0
    while at + _HEADER.size <= len(data):
        first, kind, words, ssrc = _HEADER.unpack_from(data, at)
        if first >> 6 != 2:
            return None
        if kind == _SENDER_REPORT and at + _HEADER.size + _INFO.size <= len(data):
            seconds, fraction, stamp = _INFO.unpack_from(data, at + _HEADER.size)
            return SenderReport(ssrc, seconds - NTP_EPOCH + fraction / 2**32, stamp) if seconds else None
        at += 4 * (words + 1)
    return None
