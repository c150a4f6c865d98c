"""Packets of another source on a track: a session that is dead, or a camera that has begun anew."""

from __future__ import annotations

import struct

from agent.rtsp.rtp_receiver import RtpReceiver

OLD, NEW, GHOST = 1, 2, 3


class CollectingReceiver(RtpReceiver):
    """Keeps the payloads that are taken."""

    def __init__(self) -> None:
        super().__init__(96, 90_000)
        self.taken: list[bytes] = []

    def send(self, source: int, sequence: int) -> None:
        packet = struct.pack(">BBHII", 0x80, 96, sequence, sequence, source) + b"%d:%d" % (source, sequence)
        self.receive(bytearray(packet), 0, len(packet))

    def _take(self, data: bytearray, at: int, end: int, marker: int, gap: bool) -> None:
        self.taken.append(bytes(data[at:end]))


def test_nothing_of_a_new_source_is_lost() -> None:
    track = CollectingReceiver()
    for number in range(20):
        track.send(OLD, 100 + number)
    for number in range(20):
        track.send(NEW, 5000 + number)
    assert track.taken == [*(b"1:%d" % (100 + n) for n in range(20)), *(b"2:%d" % (5000 + n) for n in range(20))]
    assert track.lost == 0


def test_packets_of_a_dead_session_between_are_left_out() -> None:
    track = CollectingReceiver()
    for number in range(100):
        track.send(OLD, 100 + number)
        track.send(GHOST, 5000 + number)
    assert track.taken == [b"1:%d" % (100 + n) for n in range(100)]
    assert len(track._kept) <= 1


def test_a_third_source_is_not_taken_with_the_new_one() -> None:
    track = CollectingReceiver()
    track.send(OLD, 100)
    for number in range(10):
        track.send(GHOST if number == 3 else NEW, 5000 + number)
    assert b"3:5003" not in track.taken
    assert track.taken[1:] == [b"2:%d" % (5000 + n) for n in range(10) if n != 3]
