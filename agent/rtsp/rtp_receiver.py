"""Takes the RTP packets of one track (RFC 3550): order, loss, time stamps; what they carry is up to the subclass."""

from __future__ import annotations

import struct

from agent.rtsp.rtcp import SenderReport, parse_sender_report
from agent.rtsp.track_clock import TrackClock

_HEADER = struct.Struct(">BBHII")
_unpack_header = _HEADER.unpack_from
_PLAIN = 0x80
"""First byte of nearly all packets: version 2, no padding, no extension, no contributing sources."""
_FOREIGN = 8
"""Packets of another source in a row, with other numbers, after which the one before is given up."""


class RtpReceiver:
    """Receives one track.

    clock          of the track
    lost           packets that never came
    payload_type   of the packets that count
    """

    def __init__(self, payload_type: int, clock_rate: int, named_source: int | None = None) -> None:
        self.payload_type = payload_type
        self.clock = TrackClock(clock_rate)
        self.lost = 0
        self._named = named_source
        self._foreign = self._passed = 0
        self._foreign_since = self._passed_since = -1
        self._kept: list[tuple[int, bytes]] = []  # source and packet, until their source is taken
        self._source = -1
        self._next = -1
        self._stamp = -1

    def receive(self, data: bytearray, at: int, end: int) -> None:
        """Take a packet: `data` from `at` to `end`."""
        # hot path: some 400 packets a second and camera
        if end - at < 12:
            return
        first, second, sequence, stamp, source = _unpack_header(data, at)
        if first == _PLAIN:
            at += 12
        elif first >> 6 == 2:
            at, end = find_payload(data, at, end)
        else:
            return
        if second & 0x7F != self.payload_type:
            self._pass_over(source, sequence)
            return
        if source != self._source:
            if not self._adopt(source, sequence):
                self._kept.append((source, _HEADER.pack(_PLAIN, second, sequence, stamp, source) + data[at:end]))
                return
            self._receive_kept()
        gap = False
        if sequence != self._next:
            if sequence + 1 & 0xFFFF == self._next and stamp == self._stamp:
                return  # the same packet again
            gap = self._count_lost(sequence)
        self._next = sequence + 1 & 0xFFFF
        if stamp != self._stamp:
            self._turn(stamp, gap)
        self._take(data, at, end, second & 0x80, gap)

    def receive_report(self, data: bytearray, at: int, end: int) -> None:
        """Take an RTCP packet."""
        report = parse_sender_report(bytes(data[at:end]))
        if report is not None and (self._source in (-1, report.ssrc)):
            self._note(report)

    def _note(self, report: SenderReport) -> None:
        self.clock.note_report(report.unix_time, report.stamp)

    def _pass_over(self, source: int, sequence: int) -> None:
        """Leave out a packet of another payload type: it takes a number of this track, or has numbers of its own."""
        if source == self._source:
            if self._passed_since != self._next:
                self._passed, self._passed_since = 0, self._next
            self._passed += sequence == self._next + self._passed & 0xFFFF

    def _adopt(self, source: int, sequence: int) -> bool:
        """Return True where packets of `source` are taken from now on.

        Some servers go on sending a dead session's data on a new connection; some cameras name a source and send another.
        """
        began = self._source >= 0
        if began and source != self._named and sequence != self._next:
            if self._next != self._foreign_since:
                self._foreign = 0
                self._kept.clear()
            self._foreign += 1
            self._foreign_since = self._next
            if self._foreign < _FOREIGN:
                return False
        if began and sequence != self._next:
            self._next = -1
            self.clock.forget()
        self._source, self._foreign = source, 0
        return True

    def _receive_kept(self) -> None:
        """Take the packets of the source that has just been adopted which came while it was foreign."""
        kept, self._kept = self._kept, []
        for source, packet in kept:
            if source == self._source:
                self.receive(bytearray(packet), 0, len(packet))

    def _count_lost(self, sequence: int) -> bool:
        """Count the packets that are missing before this one; return True where there may be any."""
        if self._next < 0:
            return self._stamp >= 0  # another source: nobody knows what is missing
        gap = sequence - self._next & 0xFFFF
        if gap <= self._passed and self._passed_since == self._next:
            return False
        # backwards: the camera has begun to count anew, and nobody knows what is missing
        self.lost += gap if gap < 0x8000 else 1
        return True

    def _turn(self, stamp: int, gap: bool) -> None:
        """Go on to another time stamp. `gap`: packets are missing before it."""
        self.clock.advance(stamp)
        self._stamp = stamp

    def _take(self, data: bytearray, at: int, end: int, marker: int, gap: bool) -> None:
        """Take in a payload: `data` from `at` to `end`."""
        raise NotImplementedError


def find_payload(data: bytearray, at: int, end: int) -> tuple[int, int]:
    """Return where the payload of a packet begins and ends: behind sources and extension, before the padding."""
    first = data[at]
    begin = at + 12 + 4 * (first & 0x0F)
    if first & 0x10 and begin + 4 <= end:
        begin += 4 + 4 * (data[begin + 2] << 8 | data[begin + 3])
    if first & 0x20:
        end -= data[end - 1]
    return min(begin, max(begin, end)), max(begin, end)
